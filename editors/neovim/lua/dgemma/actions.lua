--- The server's code actions: asked for, computed by the server, shown as a preview.
local config = require('dgemma.config')
local messages = require('dgemma.messages')
local preview = require('dgemma.preview')
local server = require('dgemma.server')
local text = require('dgemma.text')

local M = {}

local KIND = 'refactor.rewrite'
local TOKEN = 'dgemma-drafts-'

local NO_INSTRUCTIONS = 'this model cannot follow instructions'

--- Those that are for a selection; the others are for the cursor.
local OF_SELECTIONS = { rewrite = true, gently = true, anew = true, instruct = true }

--- The actions by our names for them; how the server calls them, and what is said where it does not offer them.
---@type table<string, { action: string, lacking: string }>
local ACTIONS = {
  rewrite = { action = 'REWRITE', lacking = 'nothing is selected' },
  gently = { action = 'REWRITE_GENTLY', lacking = 'this cannot be rewritten gently' },
  anew = { action = 'REWRITE_ANEW', lacking = 'this cannot be rewritten from scratch' },
  instruct = { action = 'INSTRUCT', lacking = NO_INSTRUCTIONS },
  holes = { action = 'FILL_FILE', lacking = 'this file has no holes' },
  ['function'] = { action = 'FILL_FUNCTION', lacking = 'there is no function with holes here' },
  block = { action = 'COMPLETE_BLOCK', lacking = 'there is no block to complete here' },
  arguments = { action = 'SUGGEST_ARGUMENTS', lacking = 'there is no call here' },
  document = { action = 'DOCUMENT', lacking = 'there is no function to write here' },
}

---@class dgemma.Work
---@field client vim.lsp.Client
---@field buf integer
---@field token string Under which the server sends drafts.
---@field request? integer

---@type table<integer, dgemma.Work>
local works = {}

local count = 0

--- The columns of a characterwise selection: Neovim's marks name the first byte of its last character.
---@param buf integer
---@param line2 integer
---@param column2 integer From 1.
---@return integer # the byte behind the selection, from 0.
local function behind(buf, line2, column2)
  local line = vim.api.nvim_buf_get_lines(buf, line2 - 1, line2, false)[1] or ''
  if vim.o.selection == 'exclusive' then
    return math.min(column2 - 1, #line)
  elseif column2 > #line then
    return #line
  end
  return column2 + vim.str_utf_end(line, column2)
end

---@param buf integer
---@param line1 integer From 1.
---@param column1 integer From 0.
---@param line2 integer From 1.
---@param column2 integer From 0, excluded.
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return lsp.Range
local function range(buf, line1, column1, line2, column2, encoding)
  return {
    start = text.position(buf, line1 - 1, column1, encoding),
    ['end'] = text.position(buf, line2 - 1, column2, encoding),
  }
end

---@param where? dgemma.Where
---@return boolean
local function means_selection(where)
  if not where or not where.selection and not where.line1 then
    return false
  end
  local line1, line2 = vim.fn.line("'<"), vim.fn.line("'>")
  return where.selection or (line1 == where.line1 and line2 == where.line2 and vim.fn.visualmode() ~= 'V')
end

--- What an action is asked for: the selection, whole lines, or the cursor.
---@param buf integer
---@param name string
---@param where? dgemma.Where
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return lsp.Range? # nil, and the user is told, for a block.
local function wanted(buf, name, where, encoding)
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  if not OF_SELECTIONS[name] then
    return range(buf, row, column, row, column, encoding)
  end
  local line1, line2 = where and where.line1 or row, where and where.line2 or row
  if means_selection(where) then
    local mode = vim.fn.visualmode()
    if mode == '\22' then
      messages.say('select characters or lines, not a block')
      return nil
    end
    local from, to = vim.fn.getpos("'<"), vim.fn.getpos("'>")
    if mode == 'v' then
      return range(buf, from[2], from[3] - 1, to[2], behind(buf, to[2], to[3]), encoding)
    end
    line1, line2 = from[2], to[2]
  end
  return range(buf, line1, 0, line2, vim.v.maxcol, encoding)
end

---@param work dgemma.Work
---@param problem? string
local function finish(work, problem)
  if works[work.buf] == work then
    works[work.buf] = nil
    preview.close(work.buf)
    vim.cmd.redrawstatus()
  end
  if problem then
    messages.say(problem)
  end
end

--- Ask the server something; the answer counts if nobody gave up.
---@param work dgemma.Work
---@param method string
---@param params table
---@param next_step fun(result: any)
local function ask(work, method, params, next_step)
  local _, id = work.client:request(method, params, function(err, result)
    if works[work.buf] ~= work then
      return
    elseif err then
      finish(work, err.message)
    elseif not vim.api.nvim_buf_is_loaded(work.buf) then
      finish(work)
    else
      next_step(result)
    end
  end, work.buf)
  work.request = id
end

--- The edits that change a buffer, ours change no other; and whether they are for the text that it has now.
---@param edit lsp.WorkspaceEdit
---@param buf integer
---@return lsp.TextEdit[] edits, boolean fits
local function edits_of(edit, buf)
  local uri = vim.uri_from_bufnr(buf)
  for _, change in ipairs(edit.documentChanges or {}) do
    if change.textDocument and change.textDocument.uri == uri then
      return change.edits, change.textDocument.version == vim.lsp.util.buf_versions[buf]
    end
  end
  return {}, true
end

---@param work dgemma.Work
---@param action lsp.CodeAction
local function show(work, action)
  local edits, fits = edits_of(action.edit or {}, work.buf)
  if not fits then
    finish(work, 'the text has changed in the meantime; try again')
  elseif #edits == 0 then
    finish(work, 'nothing would change')
  else
    finish(work)
    preview.open(work.buf, edits, work.client.offset_encoding)
  end
end

---@param buf integer
---@param client vim.lsp.Client
---@return dgemma.Work
local function begin(buf, client)
  M.cancel(buf)
  count = count + 1
  local token = TOKEN .. count
  local work = { client = client, buf = buf, token = token }
  works[buf] = work
  preview.wait(buf, client.offset_encoding, function()
    M.cancel(buf)
  end)
  return work
end

---@param work dgemma.Work
---@param action lsp.CodeAction
local function resolve(work, action)
  if config.get().drafts then
    action.data.partialResultToken = work.token
  end
  ask(work, 'codeAction/resolve', action, function(resolved)
    show(work, resolved)
  end)
end

--- Let the user say what is to be done, if that is wanted.
---@param work dgemma.Work
---@param action lsp.CodeAction
---@param wanted_ boolean
---@param next_step fun(work: dgemma.Work, action: lsp.CodeAction)
local function instructed(work, action, wanted_, next_step)
  if not wanted_ then
    return next_step(work, action)
  end
  vim.ui.input({ prompt = 'Instruction: ' }, function(instruction)
    if works[work.buf] ~= work then
      return
    elseif not instruction or instruction == '' then
      return finish(work)
    end
    action.data.instruction = instruction
    next_step(work, action)
  end)
end

--- Ask for an action where the user is, and show what it would do.
---@param name string A key of ACTIONS.
---@param where? dgemma.Where
function M.run(name, where)
  local buf = vim.api.nvim_get_current_buf()
  local client = server.demand_client(buf)
  local asked_for = client and wanted(buf, name, where, client.offset_encoding)
  if not client or not asked_for then
    return
  end
  local known, work = ACTIONS[name], begin(buf, client)
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(buf),
    range = asked_for,
    context = { diagnostics = {}, only = { KIND }, triggerKind = 1 },
  }
  ask(work, 'textDocument/codeAction', params, function(actions)
    for _, action in ipairs(actions or {}) do
      if type(action.data) == 'table' and action.data.action == known.action then
        instructed(work, action, known.action == 'INSTRUCT', resolve)
        return
      end
    end
    finish(work, known.lacking)
  end)
  vim.cmd.redrawstatus()
end

---@class dgemma.Draft
---@field ranges lsp.Range[]
---@field texts string[] One for each range.

---@param draft dgemma.Draft
---@return lsp.TextEdit[]
local function edits_of_draft(draft)
  local edits = {} ---@type lsp.TextEdit[]
  for index, place in ipairs(draft.ranges) do
    table.insert(edits, { range = place, newText = draft.texts[index] })
  end
  return edits
end

--- Show how far an action has come.
---@param params lsp.ProgressParams
---@return boolean # whether they are drafts of ours.
function M.draft(params)
  local token, draft = params.token, params.value --[[@as dgemma.Draft]]
  for buf, work in pairs(works) do
    if work.token == token then
      preview.draft(buf, edits_of_draft(draft))
      return true
    end
  end
  -- Some may still come after the work was given up.
  return vim.startswith(tostring(token), TOKEN)
end

--- Whether an action is being computed.
---@param buf integer
---@return boolean
function M.is_busy(buf)
  return works[buf] ~= nil
end

--- Give up what is being computed.
---@param buf integer
---@return boolean # whether there was anything.
function M.cancel(buf)
  local work = works[buf]
  if not work then
    return false
  end
  works[buf] = nil
  preview.close(buf)
  vim.cmd.redrawstatus()
  if work.request then
    work.client:cancel_request(work.request)
  end
  return true
end

return M
