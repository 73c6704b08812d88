#!/usr/bin/env node
import { runSimulateCli } from "./run-cli.ts";

process.exitCode = await runSimulateCli(process.argv.slice(2));
