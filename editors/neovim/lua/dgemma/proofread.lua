--- Has the server look for what is wrong; it answers with diagnostics, and with a quick fix for each.
local messages = require('dgemma.messages')
local server = require('dgemma.server')

local M = {}

local COMMAND = 'dgemma.proofread'

---@param client vim.lsp.Client
---@return boolean
local function is_able(client)
  local provider = client.server_capabilities.executeCommandProvider
  return provider ~= nil and vim.list_contains(provider.commands, COMMAND)
end

--- What was found, told.
---@param err? lsp.ResponseError
---@param count? integer
local function tell(err, count)
  if err then
    messages.say(err.message, vim.log.levels.WARN)
  elseif count == 0 then
    messages.say('nothing looks wrong here')
  else
    local places = count == 1 and 'one place looks' or ('%s places look'):format(count)
    messages.say(('%s odd; ]d goes there, gra fixes it'):format(places))
  end
end

--- Read the whole buffer.
function M.run()
  local buf = vim.api.nvim_get_current_buf()
  local client = server.demand_client(buf)
  if client and not is_able(client) then
    messages.say('this server cannot proofread')
  elseif client then
    local params = { command = COMMAND, arguments = { vim.uri_from_bufnr(buf) } }
    client:request('workspace/executeCommand', params, tell, buf)
  end
end

return M
