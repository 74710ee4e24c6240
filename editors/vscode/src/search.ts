// Looks for the server on this machine.

import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { env, workspace } from 'vscode';
import { type Places, type Search, expanded, findServer, installCommand } from './locate';
import { environments } from './python';
import { serverCommand, workspaceFolder } from './settings';

export async function searchServer(): Promise<Search> {
  const places = here();
  const folder = workspace.isTrusted ? workspaceFolder() : undefined;
  const setting = expanded(serverCommand(), places.home, folder, process.env);
  return findServer({ ...places, setting, environments: await environments() });
}

export function howToInstall(): string {
  return installCommand(here());
}

function here(): Pick<Places, 'path' | 'home' | 'platform' | 'isProgram'> {
  return { path: process.env.PATH ?? '', home: homedir(), platform: process.platform, isProgram };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The name of the machine that the search looked at: with a remote window it is not the user's own. */
export function machine(): string {
  return env.remoteName ?? 'this computer';
}
