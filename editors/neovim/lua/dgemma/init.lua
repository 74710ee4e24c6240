--- Everything a user's configuration may call; see |dgemma-functions|. Nothing here waits for the server.
local M = {}

---@return integer
local function here()
  return vim.api.nvim_get_current_buf()
end

---@param part dgemma.Part
---@return boolean
local function accept(part)
  if part == 'all' and require('dgemma.preview').accept(here()) then
    return true
  end
  return require('dgemma.completion').accept(here(), part)
end

--- Accept the preview, or the completion, that is shown.
---@return boolean # whether there was one.
function M.accept()
  return accept('all')
end

---@return boolean
function M.accept_word()
  return accept('word')
end

--- Accept the rest of the line; at a line's end, the next line.
---@return boolean
function M.accept_line()
  return accept('line')
end

--- Whether there is anything to accept: for a key that otherwise does something else.
---@return boolean
function M.visible()
  return require('dgemma.preview').is_open(here()) or require('dgemma.completion').is_visible(here())
end

--- Reject the preview, hide the completion, give up what was asked for.
---@return boolean # whether there was anything to hide or to give up.
function M.dismiss()
  local rejected = require('dgemma.preview').reject(here())
  local cancelled = require('dgemma.actions').cancel(here())
  local hidden = require('dgemma.completion').dismiss(here())
  return rejected or cancelled or hidden
end

--- Take the preview's current region, and go to the next; with the last one decided upon, the edits are made.
---@return boolean # whether there was a preview.
function M.take()
  return require('dgemma.preview').take(here())
end

--- Leave the preview's current region as it is, and go to the next.
---@return boolean # whether there was a preview.
function M.skip()
  return require('dgemma.preview').skip(here())
end

--- Go to the preview's next region.
function M.next_region()
  require('dgemma.preview').next(here())
end

function M.previous_region()
  require('dgemma.preview').previous(here())
end

--- Ask for completions here, however sure the model is.
function M.trigger()
  require('dgemma.completion').trigger(here())
end

--- Show the next completion; the first time, the server is asked for alternatives.
function M.next()
  require('dgemma.completion').cycle(here(), vim.v.count1)
end

function M.previous()
  require('dgemma.completion').cycle(here(), -vim.v.count1)
end

---@class dgemma.Scope
---@field all? boolean Everywhere, not in this buffer only.
---@field language? string In every buffer with this 'filetype'.

--- Show nothing by itself until `resume`.
---@param scope? dgemma.Scope
function M.pause(scope)
  M.set_paused(true, scope)
end

---@param scope? dgemma.Scope
function M.resume(scope)
  M.set_paused(false, scope)
end

---@param scope? dgemma.Scope
function M.toggle(scope)
  M.set_paused(not require('dgemma.completion').is_paused(here()), scope)
end

---@param paused boolean
---@param scope? dgemma.Scope
function M.set_paused(paused, scope)
  if scope and scope.all then
    require('dgemma.completion').pause_all(paused)
  elseif scope and scope.language then
    require('dgemma.completion').pause_language(scope.language, paused)
  else
    require('dgemma.completion').pause(here(), paused)
  end
  vim.cmd.redrawstatus()
end

---@class dgemma.Where
---@field selection? boolean What was selected last, else the cursor's line.
---@field line1? integer With `line2`: these lines, from 1.
---@field line2? integer

--- Rewrite what is selected; a preview is shown.
---@param where? dgemma.Where
---@param how? 'gently'|'anew' Nearly as it is, or as if it were not there; else as the settings say.
function M.rewrite(where, how)
  require('dgemma.actions').run(how or 'rewrite', where)
end

--- Rewrite what is selected as the user says, who is asked.
---@param where? dgemma.Where
function M.instruct(where)
  require('dgemma.actions').run('instruct', where)
end

--- Look for what is wrong; it is shown as diagnostics.
function M.proofread()
  require('dgemma.proofread').run()
end

--- Fill every hole of the file, all at once.
function M.holes()
  require('dgemma.actions').run('holes')
end

--- Fill every hole of the function around the cursor.
function M.function_holes()
  require('dgemma.actions').run('function')
end

--- Complete the block that begins at the cursor.
function M.block()
  require('dgemma.actions').run('block')
end

--- Suggest the arguments of the call around the cursor.
function M.arguments()
  require('dgemma.actions').run('arguments')
end

--- Write the docstring and the body of the function at the cursor.
function M.document()
  require('dgemma.actions').run('document')
end

--- Stop the server and start it anew.
function M.restart()
  require('dgemma.server').restart()
end

--- Get the server by pipx or uv, after asking.
function M.install()
  require('dgemma.installer').run()
end

--- Have the server look at this machine and time a fill, in a window of its own.
function M.doctor()
  require('dgemma.terminal').run(require('dgemma.server').command_for('doctor'))
end

--- Show what the server has said.
function M.log()
  require('dgemma.messages').open_log()
end

--- How things stand, for a statusline.
---@return string
function M.status()
  return require('dgemma.status').text()
end

return M
