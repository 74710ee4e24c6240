--- Runs a command in a window of its own, where the user sees what it says.
local M = {}

---@param words string[]
---@param done? fun(code: integer)
function M.run(words, done)
  vim.cmd.new()
  vim.fn.jobstart(words, {
    term = true,
    on_exit = function(_, code)
      if done then
        done(code)
      end
    end,
  })
end

return M
