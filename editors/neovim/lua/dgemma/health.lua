--- `:checkhealth dgemma`
local M = {}

local health = vim.health

--- What a command says of itself.
---@param command string[]
---@return string? # The first line it prints; nil if it fails.
---@return string # If it fails: the last line, which tends to be the reason.
local function ask(command)
  local started, result = pcall(function()
    return vim.system(command, { text = true, timeout = 20000 }):wait()
  end)
  if not started then
    return nil, tostring(result)
  end
  local lines = vim.split(vim.trim(result.stdout .. '\n' .. result.stderr), '\n')
  if result.code ~= 0 then
    return nil, lines[#lines]
  end
  return lines[1], ''
end

--- The interpreter in the first line of the server's script; nil if it is no script.
---@param path string
---@return string?
local function interpreter(path)
  local file = io.open(path, 'rb')
  local line = file and file:read(512) or ''
  if file then
    file:close()
  end
  return line:match('^#!%s*([^\r\n]*python[^\r\n]*)')
end

local function check_neovim()
  health.start('dgemma: Neovim')
  if vim.fn.has('nvim-0.11') == 1 then
    health.ok(tostring(vim.version()))
  else
    health.error('dgemma needs Neovim 0.11 or newer')
  end
  local shown_by = require('dgemma.config').uses_core() and 'Neovim (vim.lsp.inline_completion)' or 'this plugin'
  health.info('ghost text is shown by ' .. shown_by)
  for _, problem in ipairs(require('dgemma.config').problems()) do
    health.warn(problem)
  end
end

local function check_server()
  health.start('dgemma: server')
  local path = require('dgemma.server').executable()
  if not path then
    health.error('dgemma-lsp was not found', {
      ':Dgemma install runs one of these after asking:',
      'pipx install dgemma-lsp',
      'uv tool install dgemma-lsp',
    })
    return
  end
  local lost = require('dgemma.server').lost_interpreter()
  if lost then
    health.error(('%s was installed for %s, which is gone'):format(path, lost), { ':Dgemma install repairs it' })
    return
  end
  health.ok(path)
  local command = require('dgemma.server').command_for('--version')
  local version, reason = ask(command)
  if version then
    health.ok(version)
  else
    health.error(('`%s` failed: %s'):format(table.concat(command, ' '), reason), {
      'pipx reinstall dgemma-lsp, or uv tool install --reinstall dgemma-lsp',
      'then :Dgemma restart',
    })
  end
  local python = interpreter(path)
  local python_version = python and ask(vim.list_extend(vim.split(python, ' '), { '--version' }))
  if python_version then
    health.ok(('%s (%s)'):format(python_version, python))
  else
    health.info('cannot tell which Python runs it')
  end
end

local function check_clients()
  health.start('dgemma: clients')
  if not vim.lsp.is_enabled('dgemma') then
    health.warn('not enabled', { "vim.lsp.enable('dgemma')" })
  end
  local clients = vim.lsp.get_clients({ name = 'dgemma' })
  if #clients == 0 then
    health.info('no client is attached; open a file in a language it is enabled for')
  end
  for _, client in ipairs(clients) do
    local buffers = vim.tbl_count(client.attached_buffers)
    health.ok(('client %d: %d buffer(s), counts in %s'):format(client.id, buffers, client.offset_encoding))
    if client.server_capabilities.inlineCompletionProvider then
      health.ok('it announces inline completion')
    else
      health.error('it announces no inline completion: is the server of this version?')
    end
  end
end

function M.check()
  check_neovim()
  check_server()
  check_clients()
end

return M
