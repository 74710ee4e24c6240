--- Draws edits that have not been made: what would go is marked, what would come is drawn where it would stand.
local text = require('dgemma.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('dgemma.preview')

---@class dgemma.Look
---@field added string The highlight of what would come.
---@field label? string Behind the line in which the edit begins.

---@param buf integer
---@param position lsp.Position
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return integer row, integer column, string line
function M.place(buf, position, encoding)
  local last = vim.api.nvim_buf_line_count(buf) - 1
  local row = math.min(position.line, last)
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  return row, position.line > last and #line or text.byte_column(line, position.character, encoding), line
end

---@param lines string[]
---@param highlight string
---@return [string, string][][]
local function virtual_lines(lines, highlight)
  return vim.tbl_map(function(line)
    return { { line, highlight } }
  end, lines)
end

---@param buf integer
---@param edit lsp.TextEdit
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@param look dgemma.Look
function M.draw(buf, edit, encoding, look)
  local row, column, line = M.place(buf, edit.range.start, encoding)
  local end_row, end_column, end_line = M.place(buf, edit.range['end'], encoding)
  local new = text.displayed(buf, text.in_buffer(buf, edit.newText))
  vim.api.nvim_buf_set_extmark(buf, namespace, row, column, {
    end_row = end_row,
    end_col = end_column,
    hl_group = 'DgemmaDelete',
  })
  if look.label then
    vim.api.nvim_buf_set_extmark(buf, namespace, row, column, { virt_text = { { look.label, 'DgemmaHint' } } })
  end
  if row == end_row and not new:find('\n') then
    vim.api.nvim_buf_set_extmark(buf, namespace, end_row, end_column, {
      virt_text = { { new, look.added } },
      virt_text_pos = 'inline',
    })
    return
  end
  -- Whole lines, as they will be.
  local whole = text.displayed(buf, line:sub(1, column)) .. new .. text.displayed(buf, end_line:sub(end_column + 1))
  vim.api.nvim_buf_set_extmark(buf, namespace, end_row, end_column, {
    virt_lines = virtual_lines(vim.split(whole, '\n', { plain = true }), look.added),
  })
end

---@param buf integer
function M.clear(buf)
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
end

return M
