--- Draws a suggestion that is not in the buffer; knows nothing of where it comes from.
local text = require('dgemma.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('dgemma.ghost')

---@param buf integer
function M.hide(buf)
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
end

---@param buf integer
---@param at dgemma.Cursor
---@param rest string
---@param hint? string Shown behind it.
function M.show(buf, at, rest, hint)
  M.hide(buf)
  local lines = {} ---@type [string, string][][]
  for line in vim.gsplit(text.displayed(buf, rest), '\n', { plain = true }) do
    table.insert(lines, { { line, 'DgemmaGhost' } })
  end
  if hint then
    table.insert(lines[#lines], { hint, 'DgemmaHint' })
  end
  vim.api.nvim_buf_set_extmark(buf, namespace, at.row, at.column, {
    virt_text = lines[1],
    virt_text_pos = 'inline',
    virt_lines = #lines > 1 and vim.list_slice(lines, 2) or nil,
    hl_mode = 'combine',
    undo_restore = false,
  })
end

return M
