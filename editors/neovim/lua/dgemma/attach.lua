--- What happens when our server comes to a buffer and when it leaves.
local completion = require('dgemma.completion')
local config = require('dgemma.config')
local messages = require('dgemma.messages')

local M = {}

---@param buf integer
---@param client vim.lsp.Client
function M.attach(buf, client)
  for _, problem in ipairs(config.problems()) do
    messages.say_once(problem, vim.log.levels.WARN)
  end
  completion.attach(buf, client)
end

---@param buf integer
---@param client vim.lsp.Client
function M.detach(buf, client)
  completion.detach(buf, client)
  require('dgemma.preview').close(buf)
end

return M
