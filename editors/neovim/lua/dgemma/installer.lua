--- Gets the server, in the open: the user sees the command, agrees to it, and sees what it does.
local messages = require('dgemma.messages')

local M = {}

local PACKAGE = 'dgemma-lsp'

--- The command that installs the server, anew where it is broken; nil where no installer is found.
---@return string[]?
local function command()
  local package = require('dgemma.server').lost_interpreter() and { '--force', PACKAGE } or { PACKAGE }
  if vim.fn.executable('pipx') == 1 then
    return vim.list_extend({ 'pipx', 'install' }, package)
  elseif vim.fn.executable('uv') == 1 then
    return vim.list_extend({ 'uv', 'tool', 'install' }, package)
  end
end

--- What to do when there is no server that could run.
---@return string
function M.advice()
  local words = command()
  if words and vim.list_contains(words, '--force') then
    return 'the Python of the server is gone; :Dgemma install repairs it'
  elseif words then
    return ('no server; :Dgemma install runs `%s`'):format(table.concat(words, ' '))
  end
  return ('no server; get pipx or uv, then `pipx install %s`'):format(PACKAGE)
end

---@param words string[]
local function run(words)
  require('dgemma.terminal').run(words, function(code)
    if code == 0 then
      messages.say('the server is installed')
      require('dgemma.server').restart()
    else
      messages.say(('`%s` failed; its window says why'):format(table.concat(words, ' ')), vim.log.levels.ERROR)
    end
  end)
end

--- Ask whether the server is to be installed; if so, do it in a terminal window.
function M.run()
  local words = command()
  if not words then
    messages.say(M.advice(), vim.log.levels.WARN)
  elseif vim.fn.confirm(('Run `%s`?'):format(table.concat(words, ' ')), '&Yes\n&No', 2) == 1 then
    run(words)
  end
end

return M
