--- Neovim 0.12's own ghost text (vim.lsp.inline_completion), by its public functions.
---
--- It shows what comes while the user types. It cannot ask for alternatives, nor keep the rest of a suggestion of which
--- a word was accepted; for these `dgemma.inline` takes over, until insert mode ends.
local inline = require('dgemma.inline')
local server = require('dgemma.server')
local suggestions = require('dgemma.suggestion')

local M = {}

local NAMESPACE = 'nvim.lsp.inline_completion'

--- How often Neovim's ghost text was turned off in a buffer.
---@type table<integer, integer>
local turned_off = {}

---@param buf integer
---@param enable boolean
function M.enable(buf, enable)
  if not enable and vim.lsp.inline_completion.is_enabled({ bufnr = buf }) then
    turned_off[buf] = (turned_off[buf] or 0) + 1
  end
  vim.lsp.inline_completion.enable(enable, { bufnr = buf })
end

--- A server of which Neovim gets no answer that it would stumble over: 0.12.4 fails with an error on the screen when
--- its ghost text was turned off between the question and the answer.
---@param rpc vim.lsp.rpc.PublicClient
---@return vim.lsp.rpc.PublicClient
function M.guarded(rpc)
  local request = rpc.request
  rpc.request = function(method, params, callback, ...)
    local ours = method == 'textDocument/inlineCompletion' and callback ~= nil
    local buf = ours and vim.uri_to_bufnr(params.textDocument.uri)
    if not buf or not vim.lsp.inline_completion.is_enabled({ bufnr = buf }) then
      return request(method, params, callback, ...)
    end
    local before = turned_off[buf]
    return request(method, params, function(...)
      if turned_off[buf] == before then
        return callback(...)
      end
    end, ...)
  end
  return rpc
end

---@param buf integer
---@return boolean
function M.is_visible(buf)
  local namespace = vim.api.nvim_get_namespaces()[NAMESPACE]
  return namespace ~= nil and #vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { limit = 1 }) > 0
end

--- What Neovim shows in the line of the cursor, up to the end of its first line.
---@param buf integer
---@return string?
function M.shown(buf)
  local namespace = vim.api.nvim_get_namespaces()[NAMESPACE]
  local mark = namespace and vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { details = true, limit = 1 })[1]
  local chunk = mark and mark[4].virt_text and mark[4].virt_text[1]
  local line = mark and vim.api.nvim_buf_get_lines(buf, mark[2], mark[2] + 1, false)[1]
  return chunk and line and line:sub(1, mark[3]) .. chunk[1] or nil
end

---@param buf integer
---@return boolean # whether anything was shown.
function M.dismiss(buf)
  local visible = M.is_visible(buf)
  if visible then
    M.enable(buf, false)
    M.enable(buf, true)
  end
  return visible
end

--- The item as it was meant: Neovim keeps it while the user types, and would insert what has been typed once more.
---@param buf integer
---@param item vim.lsp.inline_completion.Item
---@return dgemma.Suggestion?
local function meant(buf, item)
  local text, range = item.insert_text, item.range
  if type(text) ~= 'string' or not range or vim.api.nvim_get_current_buf() ~= buf then
    return nil
  end
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_get_current_line()
  local start_row, start, end_row, finish = range:to_extmark()
  if start_row ~= end_row or start ~= finish then
    return nil
  end
  local suggestion = {
    row = start_row,
    before = line:sub(1, start),
    text = require('dgemma.text').in_buffer(buf, text),
    after = line:sub(column + 1),
    command = item.command,
  }
  return suggestions.rest(suggestion, { row = row - 1, column = column, line = line }) and suggestion or nil
end

--- Accept what Neovim shows.
---@param buf integer
---@param part dgemma.Part
---@param on_rest fun() Called before a part is accepted of which a rest stays visible.
---@return boolean # whether there was anything.
function M.accept(buf, part, on_rest)
  local visible = M.is_visible(buf)
  return vim.lsp.inline_completion.get({
    bufnr = buf,
    on_accept = function(item)
      local client = server.client(buf)
      if not client or item.client_id ~= client.id then
        return item -- of another server
      end
      local suggestion = visible and meant(buf, item)
      if suggestion then
        if part ~= 'all' then
          on_rest()
        end
        inline.adopt(buf, suggestion)
        inline.accept(buf, part)
      end
    end,
  })
end

return M
