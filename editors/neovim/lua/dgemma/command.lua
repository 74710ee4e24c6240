--- `:Dgemma`, its subcommands and their completion.
local M = {}

---@class dgemma.Subcommand
---@field run fun(given: vim.api.keyset.create_user_command.command_args)
---@field arguments? fun(): string[] What may follow its name.

---@param name string A function of require('dgemma').
---@return dgemma.Subcommand
local function plain(name)
  return {
    run = function()
      require('dgemma')[name]()
    end,
  }
end

---@param name string
---@return dgemma.Subcommand
local function scoped(name)
  return {
    run = function(given)
      require('dgemma')[name]({ all = given.bang, language = given.fargs[2] })
    end,
    arguments = function()
      return { vim.bo.filetype }
    end,
  }
end

---@param given vim.api.keyset.create_user_command.command_args
---@return dgemma.Where?
local function lines(given)
  return given.range > 0 and { line1 = given.line1, line2 = given.line2 } or nil
end

---@type table<string, dgemma.Subcommand>
local SUBCOMMANDS = {
  rewrite = {
    run = function(given)
      require('dgemma').rewrite(lines(given), given.fargs[2])
    end,
    arguments = function()
      return { 'anew', 'gently' }
    end,
  },
  instruct = {
    run = function(given)
      require('dgemma').instruct(lines(given))
    end,
  },
  proofread = plain('proofread'),
  holes = plain('holes'),
  ['function'] = plain('function_holes'),
  block = plain('block'),
  arguments = plain('arguments'),
  document = plain('document'),
  accept = plain('accept'),
  reject = plain('dismiss'),
  take = plain('take'),
  skip = plain('skip'),
  next = plain('next_region'),
  previous = plain('previous_region'),
  pause = scoped('pause'),
  resume = scoped('resume'),
  toggle = scoped('toggle'),
  restart = plain('restart'),
  install = plain('install'),
  doctor = plain('doctor'),
  log = plain('log'),
  status = {
    run = function()
      require('dgemma.messages').say(require('dgemma.status').sentence())
    end,
  },
}

---@param given vim.api.keyset.create_user_command.command_args
function M.run(given)
  local name = given.fargs[1] or 'status'
  local subcommand = SUBCOMMANDS[name]
  if subcommand and (subcommand.arguments or #given.fargs < 2) then
    subcommand.run(given)
  else
    require('dgemma.messages').say(('there is no :Dgemma %s'):format(given.args), vim.log.levels.ERROR)
  end
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local before = vim.split(line:sub(1, #line - #lead), '%s+', { trimempty = true })
  local subcommand = SUBCOMMANDS[before[#before]]
  local names = vim.tbl_keys(SUBCOMMANDS)
  if subcommand then
    names = subcommand.arguments and subcommand.arguments() or {}
  end
  names = vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, names)
  table.sort(names)
  return names
end

return M
