--- How things stand: what the server tells of itself (dgemma/status), and what the user has chosen here.
local completion = require('dgemma.completion')
local server = require('dgemma.server')

local M = {}

---@class dgemma.Status
---@field state 'loading'|'ready'|'filling'|'silent'|'error'
---@field reason? string Why nothing is shown.
---@field advice? string What is wrong, and what can be done.

---@type table<integer, dgemma.Status>
local states = {}

--- Take note of what a server has told.
---@param client_id integer
---@param status dgemma.Status
function M.note(client_id, status)
  local before = states[client_id]
  states[client_id] = status
  if not before or before.state ~= status.state then
    vim.cmd.redrawstatus()
  end
end

--- One short text for a statusline; empty where the server is not attached.
---@param buf? integer
---@return string
function M.text(buf)
  buf = buf or vim.api.nvim_get_current_buf()
  local client = server.client(buf)
  if not client then
    return ''
  end
  local state = (states[client.id] or {}).state
  if not state then
    return 'dgemma: starting'
  elseif state == 'loading' then
    return 'dgemma: loading the model'
  elseif state == 'error' then
    return 'dgemma: error'
  elseif require('dgemma.actions').is_busy(buf) then
    return 'dgemma: writing'
  elseif completion.is_paused(buf) then
    return 'dgemma: paused'
  end
  return 'dgemma'
end

--- The same in a sentence, with the reason or the advice that the server has given.
---@return string
function M.sentence()
  local client = server.client()
  if not client then
    return 'the server does not run here; see :checkhealth dgemma'
  end
  local status = states[client.id] or {}
  if status.state == 'silent' and status.reason then
    return 'nothing was shown: ' .. status.reason
  end
  return status.advice or M.text():gsub('^dgemma:? ?', ''):gsub('^$', 'ready')
end

return M
