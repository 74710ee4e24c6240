--- What is said to the user, and the log behind `:Dgemma log`.
local M = {}

local KEPT = 1000
local PREFIX = 'dgemma: '

---@type string[]
local lines = {}

---@type table<string, true>
local told = {}

--- Note something for `:Dgemma log`.
---@param text string
function M.record(text)
  for line in vim.gsplit(text, '\n', { plain = true }) do
    table.insert(lines, os.date('%H:%M:%S ') .. line)
  end
  if #lines > KEPT then
    lines = vim.list_slice(lines, #lines - KEPT + 1)
  end
end

--- A message that does not fit into the last line would stop the user with a "Press ENTER".
---@param text string
---@return string
local function fitted(text)
  local room = vim.v.echospace - #PREFIX
  local line = text:gsub('%s*\n%s*', ' ')
  if vim.fn.strdisplaywidth(line) <= room then
    return line
  end
  local hint = '… (:Dgemma log)'
  return vim.fn.strcharpart(line, 0, math.max(room - vim.fn.strdisplaywidth(hint), 0)) .. hint
end

--- Say something, now or as soon as Neovim can.
---@param text string
---@param level? integer One of vim.log.levels; INFO if not given.
function M.say(text, level)
  M.record(text)
  vim.schedule(function()
    vim.cmd.redraw() -- or a message that stands there already would make it a "Press ENTER"
    vim.notify(PREFIX .. fitted(text), level or vim.log.levels.INFO)
  end)
end

--- Say something, but the same thing never again.
---@param text string
---@param level? integer
function M.say_once(text, level)
  if not told[text] then
    told[text] = true
    M.say(text, level)
  end
end

--- What the server wants to be shown.
---@param params lsp.ShowMessageParams
function M.show(params)
  local levels = { vim.log.levels.ERROR, vim.log.levels.WARN }
  M.say(params.message, levels[params.type])
end

--- Open the log in a window.
function M.open_log()
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].modifiable = false
  vim.cmd.split()
  vim.api.nvim_win_set_buf(0, buf)
  vim.cmd.normal({ args = { 'G' }, bang = true })
end

return M
