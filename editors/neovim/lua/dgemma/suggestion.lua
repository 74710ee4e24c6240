--- A completion that is shown and has not been accepted: text that continues at the cursor of one line.
---
--- It knows nothing of buffers, windows or servers. The user's own typing is replayed over it: it lives as long as what
--- stands between its beginning and the cursor is the beginning of its text and nothing else of the line has changed.
local text = require('dgemma.text')

local M = {}

---@class dgemma.Cursor
---@field row integer From 0.
---@field column integer In bytes, from 0.
---@field line string The whole line.

---@class dgemma.Suggestion
---@field row integer From 0.
---@field before string Of the line, up to where the text begins.
---@field text string From there on, what the line is to say, with "\n" between lines.
---@field after string Of the line, behind the cursor.
---@field command? lsp.Command For the server, when all of it was accepted.

--- A suggestion from what the server sent; nil when it is none that can be shown at a cursor.
---@param item lsp.InlineCompletionItem
---@param at dgemma.Cursor Where it was asked for.
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return dgemma.Suggestion?
function M.from_item(item, at, encoding)
  if type(item.insertText) ~= 'string' then
    return nil -- a snippet; ours has none
  end
  local start, finish = at.column, at.column
  local range = item.range
  if range then
    if range.start.line ~= at.row or range['end'].line ~= at.row then
      return nil
    end
    start = text.byte_column(at.line, range.start.character, encoding)
    finish = text.byte_column(at.line, range['end'].character, encoding)
  end
  -- To replace what stands behind the cursor would not look like an insertion.
  if start > at.column or finish ~= at.column then
    return nil
  end
  local suggestion = {
    row = at.row,
    before = at.line:sub(1, start),
    text = item.insertText,
    after = at.line:sub(at.column + 1),
    command = item.command,
  }
  return M.rest(suggestion, at) and suggestion or nil
end

--- What of it has not been typed yet; nil when the user went another way.
---@param suggestion dgemma.Suggestion
---@param at dgemma.Cursor
---@return string?
function M.rest(suggestion, at)
  local start = #suggestion.before
  if at.row ~= suggestion.row or at.column < start then
    return nil
  end
  local typed = at.line:sub(start + 1, at.column)
  local same = at.line:sub(1, start) == suggestion.before
    and at.line:sub(at.column + 1) == suggestion.after
    and vim.startswith(suggestion.text, typed)
  local rest = suggestion.text:sub(#typed + 1)
  return same and rest ~= '' and rest or nil
end

--- The same suggestion after a part with line breaks was accepted.
---@param suggestion dgemma.Suggestion
---@param rest string What is left of it.
---@param at dgemma.Cursor Behind the accepted part.
---@return dgemma.Suggestion
function M.moved(suggestion, rest, at)
  return {
    row = at.row,
    before = at.line:sub(1, at.column),
    text = rest,
    after = suggestion.after,
    command = suggestion.command,
  }
end

---@alias dgemma.Part 'all'|'word'|'line'

--- The beginning of a text that a user accepts by itself.
---@param rest string
---@param part dgemma.Part
---@return string
function M.beginning(rest, part)
  if part == 'word' then
    -- Bytes from 128 on belong to letters of other scripts, or to emoji: no character is cut.
    return rest:match('^%s*[%w_\128-\255]+') or rest:match('^%s*[^%w%s_\128-\255]+') or rest
  elseif part == 'line' then
    return rest:match('^\n?[^\n]*') --[[@as string]]
  end
  return rest
end

return M
