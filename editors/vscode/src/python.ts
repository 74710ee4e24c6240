// The Python environment that the user has selected.

import { join } from 'node:path';
import { type Event, EventEmitter, extensions, workspace } from 'vscode';
import { workspaceFolder } from './settings';

/** What we use of the API of the extension ms-python.python. */
interface PythonApi {
  readonly environments: {
    getActiveEnvironmentPath(): { readonly path: string };
    readonly onDidChangeActiveEnvironmentPath: Event<unknown>;
  };
}

/** It may wait for a search of the whole disk; we do not. */
const PATIENCE_MS = 3000;

const changed = new EventEmitter<undefined>();
let api: PythonApi | undefined;

/** The user has selected another environment. */
export const onDidChangeEnvironment = changed.event;

/** Environments or interpreters, the selected one first. */
export async function environments(): Promise<string[]> {
  // An environment that came with somebody else's folder may hold any program.
  if (!workspace.isTrusted) return [];
  const python = await pythonApi();
  const selected = python?.environments.getActiveEnvironmentPath().path;
  const configured = workspace.getConfiguration('python').get<string>('defaultInterpreterPath');
  const folder = workspaceFolder();
  const usual = folder === undefined ? [] : [join(folder, '.venv'), join(folder, 'venv')];
  const named = [selected, configured].filter((path) => path !== undefined && path !== '' && path !== 'python');
  return [...(named as string[]), ...usual];
}

async function pythonApi(): Promise<PythonApi | undefined> {
  const extension = extensions.getExtension<PythonApi>('ms-python.python');
  if (api !== undefined || extension === undefined) return api;
  const patience = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS, undefined));
  api = await Promise.race([Promise.resolve(extension.activate()).catch(() => undefined), patience]);
  api?.environments.onDidChangeActiveEnvironmentPath(() => { changed.fire(undefined); });
  return api;
}
