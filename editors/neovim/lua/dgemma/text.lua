--- Positions and edits, in bytes; the only place that knows how the server counts.
local M = {}

--- The byte column of a position in a line; a position behind the line's end is its end.
---@param line string
---@param character integer In units of the encoding.
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return integer
function M.byte_column(line, character, encoding)
  return vim.str_byteindex(line, encoding, character, false)
end

--- The position of a byte, in units of the encoding.
---@param buf integer
---@param row integer
---@param column integer In bytes; may lie behind the line's end.
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return lsp.Position
function M.position(buf, row, column, encoding)
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  return { line = row, character = vim.str_utfindex(line, encoding, math.min(column, #line), false) }
end

--- Text with line breaks as a buffer holds them: Neovim adds the carriage returns of its 'fileformat' when it writes.
---@param buf integer
---@param text string
---@return string
function M.in_buffer(buf, text)
  local format = vim.bo[buf].fileformat
  if format == 'dos' then
    return (text:gsub('\r\n', '\n'))
  elseif format == 'mac' then
    return (text:gsub('\r\n?', '\n'))
  end
  return text
end

--- End the undo step: what comes now can be undone by itself.
---@param buf integer
function M.break_undo(buf)
  -- Setting the option, even to what it is, closes the open step (:help undo-break).
  vim.bo[buf].undolevels = vim.bo[buf].undolevels
end

--- Insert text at the cursor as an undo step of its own, and leave the cursor behind it.
---@param buf integer Shown in the current window.
---@param row integer
---@param column integer
---@param text string
---@return integer row, integer column Behind the text.
function M.insert(buf, row, column, text)
  local lines = vim.split(text, '\n', { plain = true })
  M.break_undo(buf)
  vim.api.nvim_buf_set_text(buf, row, column, row, column, lines)
  local last = #lines == 1 and column + #lines[1] or #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines, last })
  M.break_undo(buf)
  return row + #lines - 1, last
end

--- Tabs as the spaces they look like: virtual text would show them as ^I.
---@param buf integer
---@param text string
---@return string
function M.displayed(buf, text)
  return (text:gsub('\t', (' '):rep(vim.bo[buf].tabstop)))
end

return M
