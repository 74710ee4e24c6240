-- For |vim.lsp.config()| and |vim.lsp.enable()|. What stands here is merged with what the user configures.

---@type vim.lsp.Config
return {
  -- A function, so that a server that is missing can be told in words of our own.
  cmd = function(dispatchers, config)
    return require('dgemma.server').spawn(dispatchers, config)
  end,
  filetypes = { 'python' },
  root_dir = function(buf, on_dir)
    require('dgemma.server').find_root(buf, on_dir)
  end,
  -- Neovim 0.11 announces nothing of this, and 0.12 not in every configuration.
  capabilities = {
    textDocument = {
      codeAction = { disabledSupport = true },
      inlineCompletion = { dynamicRegistration = false },
    },
    workspace = {
      workspaceEdit = {
        documentChanges = true,
        -- Of annotated edits Neovim 0.12 makes a list in three lines, and a "Press ENTER" after each quick fix.
        changeAnnotationSupport = vim.NIL,
      },
    },
    experimental = { dgemmaStatus = true },
  },
  before_init = function(params, config)
    require('dgemma.server').name_languages(params, config)
  end,
  handlers = {
    ['$/progress'] = function(err, params, context)
      if not require('dgemma.actions').draft(params) then
        return vim.lsp.handlers['$/progress'](err, params, context)
      end
    end,
    ['dgemma/status'] = function(_, params, context)
      require('dgemma.status').note(context.client_id, params)
    end,
    ['window/logMessage'] = function(_, params)
      require('dgemma.messages').record(params.message)
    end,
    ['window/showMessage'] = function(_, params)
      require('dgemma.messages').show(params)
    end,
  },
}
