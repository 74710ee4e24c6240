--- The server's process: found, started, restarted; never installed.
local config = require('dgemma.config')
local messages = require('dgemma.messages')

local M = {}

M.NAME = 'dgemma'

local DEFAULT_FILETYPES = { 'python' }
local ROOT_MARKERS = { '.git', '.hg', 'pyproject.toml', 'setup.py' }
local STOPPING_MS = 3000
local TERMINATED = 15

--- Where pipx and uv put commands: a Neovim that a desktop has started may not have it in its PATH.
---@return string[]
local function installed()
  local folders = { vim.env.PIPX_BIN_DIR or '', vim.env.UV_TOOL_BIN_DIR or '', vim.env.XDG_BIN_HOME or '' }
  table.insert(folders, vim.fs.joinpath(vim.uv.os_homedir() or '', '.local', 'bin'))
  return vim.tbl_filter(function(folder)
    return folder ~= ''
  end, folders)
end

--- Where the server is.
---@return string? path
function M.executable()
  local name = config.get().cmd[1]
  local path = vim.fn.exepath(name)
  if path ~= '' then
    return path
  end
  for _, folder in ipairs(name:find('[/\\]') and {} or installed()) do
    path = vim.fn.exepath(vim.fs.joinpath(folder, name))
    if path ~= '' then
      return path
    end
  end
end

--- The interpreter that the server's first line names, where it is gone: an upgrade of Python leaves such a server.
---@return string?
function M.lost_interpreter()
  local path = M.executable()
  local file = path and io.open(path, 'rb')
  if file then
    local interpreter = (file:read(1024) or ''):match('^#!%s*(%S+)')
    file:close()
    return interpreter and vim.fn.executable(interpreter) == 0 and interpreter or nil
  end
end

--- Let a buffer have the server, if there is one.
---@param buf integer
---@param on_dir fun(root?: string)
function M.find_root(buf, on_dir)
  local chosen = vim.lsp.config[M.NAME].cmd
  if type(chosen) == 'function' and (not M.executable() or M.lost_interpreter()) then
    messages.say_once(require('dgemma.installer').advice(), vim.log.levels.WARN)
    return
  end
  on_dir(vim.fs.root(buf, ROOT_MARKERS))
end

--- The configured command, asked for something else than a session.
---@param argument string
---@return string[]
function M.command_for(argument)
  local words = { M.executable() or config.get().cmd[1] }
  for _, word in ipairs(vim.list_slice(config.get().cmd, 2)) do
    if word ~= '--stdio' then
      table.insert(words, word)
    end
  end
  return vim.list_extend(words, { argument })
end

--- What became of a server that nobody has stopped, in words of ours: Neovim's do not say what to do.
---@param dispatchers vim.lsp.rpc.Dispatchers
---@return vim.lsp.rpc.Dispatchers
local function told_of_its_end(dispatchers)
  return vim.tbl_extend('force', dispatchers, {
    on_exit = function(code, signal)
      local stopped = signal == TERMINATED or code == 128 + TERMINATED
      if (code ~= 0 or signal ~= 0) and not stopped then
        messages.record(('The server ended with status %d, signal %d.'):format(code, signal))
        messages.say('the server ended; :Dgemma restart, or :checkhealth dgemma', vim.log.levels.ERROR)
      end
      dispatchers.on_exit(0, 0)
    end,
  })
end

---@param dispatchers vim.lsp.rpc.Dispatchers
---@param client_config? vim.lsp.ClientConfig Not given by Neovim 0.11.
function M.spawn(dispatchers, client_config)
  client_config = client_config or {}
  local command = vim.list_slice(config.get().cmd)
  command[1] = M.executable() or command[1]
  local rpc = vim.lsp.rpc.start(command, told_of_its_end(dispatchers), {
    cwd = client_config.cmd_cwd,
    env = client_config.cmd_env,
  })
  return vim.lsp.inline_completion and require('dgemma.core').guarded(rpc) or rpc
end

--- What Neovim attaches the server to, the server is to answer for, unless the user has said otherwise.
---@param params lsp.InitializeParams
---@param client_config vim.lsp.ClientConfig
function M.name_languages(params, client_config)
  -- What is sent goes before what a project says: the default need not be sent.
  if not vim.deep_equal(client_config.filetypes, DEFAULT_FILETYPES) then
    local options = vim.deepcopy(params.initializationOptions or {})
    ---@cast options table
    options.languages = options.languages or client_config.filetypes
    params.initializationOptions = options
  end
end

--- The client of a buffer.
---@param buf? integer
---@return vim.lsp.Client?
function M.client(buf)
  return vim.lsp.get_clients({ bufnr = buf or vim.api.nvim_get_current_buf(), name = M.NAME })[1]
end

--- The client of a buffer; where there is none, the user is told.
---@param buf integer
---@return vim.lsp.Client?
function M.demand_client(buf)
  local client = M.client(buf)
  if not client then
    local advice = require('dgemma.installer').advice
    local runs = M.executable() and not M.lost_interpreter()
    messages.say(runs and 'the server does not run here; see :checkhealth dgemma' or advice())
  end
  return client
end

---@param client vim.lsp.Client
---@param done fun()
local function stop(client, done)
  client:stop()
  local timer = assert(vim.uv.new_timer())
  local waited = 0
  timer:start(
    50,
    50,
    vim.schedule_wrap(function()
      waited = waited + 50
      if waited == STOPPING_MS then
        client:stop(true)
      end
      if client:is_stopped() and not timer:is_closing() then
        timer:close()
        done()
      end
    end)
  )
end

--- Stop every server of ours and start it anew for the buffers that it had; where none runs, start it.
function M.restart()
  local clients = vim.lsp.get_clients({ name = M.NAME })
  if #clients == 0 then
    vim.lsp.enable(M.NAME)
  end
  for _, client in ipairs(clients) do
    local buffers = vim.tbl_keys(client.attached_buffers)
    stop(client, function()
      for _, buf in ipairs(vim.tbl_filter(vim.api.nvim_buf_is_loaded, buffers)) do
        vim.lsp.start(client.config, { bufnr = buf })
      end
    end)
  end
end

return M
