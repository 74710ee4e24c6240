--- Keys of normal mode that mean something else in one buffer for a while.
local M = {}

--- Lend keys; what they meant in this buffer before comes back.
---@param buf integer
---@param meanings table<string, { call: fun(), desc: string }> By key.
---@return fun() give_back
function M.lend(buf, meanings)
  local replaced = {} ---@type table<string, any>[]
  for key, meaning in pairs(meanings) do
    local present = vim.api.nvim_buf_call(buf, function()
      return vim.fn.maparg(key, 'n', false, true)
    end)
    if present.buffer == 1 then
      table.insert(replaced, present)
    end
    vim.keymap.set('n', key, meaning.call, { buffer = buf, nowait = true, desc = 'dgemma: ' .. meaning.desc })
  end
  return function()
    for key in pairs(meanings) do
      pcall(vim.keymap.del, 'n', key, { buffer = buf }) -- the user may have taken it away
    end
    for _, present in ipairs(replaced) do
      vim.api.nvim_buf_call(buf, function()
        vim.fn.mapset('n', false, present)
      end)
    end
  end
end

return M
