/** The style of the HTML report. Colours have a contrast of 4.5 or more, light and dark. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --field: #f6f8fa; --link: #0550ae;
  --passed: #116329; --failed: #a40e26; --skipped: #6f4400;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --ink: #e6edf3; --soft: #9aa4af; --line: #30363d; --field: #161b22; --link: #79b8ff;
    --passed: #56d364; --failed: #ff8b85; --skipped: #e3b341;
  }
}
* { box-sizing: border-box }
body {
  margin: 0 auto; padding: 1rem; max-width: 72rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
}
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere }
a { color: var(--link) }
code, pre { font: 0.875em/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
pre { margin: 0.5rem 0; padding: 0.5rem; background: var(--field); white-space: pre-wrap }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 0.5rem; margin: 1rem 0 }
dl > .wide { grid-column: 1 / -1 }
dl.stacked { grid-template-columns: 1fr }
dt { color: var(--soft); font-size: 0.875rem }
dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
caption { padding: 0.25rem 0; color: var(--soft); font-size: 0.875rem; text-align: left }
th, td { padding: 0.3rem 0.5rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
tbody th, tfoot th { font-weight: normal }
.cases tbody th { overflow-wrap: anywhere }
th p { margin: 0.25rem 0 }
tr:target { outline: 2px solid var(--link) }
.scrolling { overflow-x: auto }
.scrolling:focus-visible, input:focus-visible, a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
.cases td { white-space: nowrap }
.cases td:last-child { text-align: right; font-variant-numeric: tabular-nums }
.reason { color: var(--soft); white-space: pre-wrap }
.passed { color: var(--passed) }
.failed { color: var(--failed); font-weight: bold }
.skipped { color: var(--skipped) }
.verdict { font-size: 1.25rem }
.filter fieldset { margin: 0 0 0.75rem; padding: 0.25rem 0.75rem; border: 1px solid var(--line) }
.filter label { display: inline-block; margin-right: 1rem; padding: 0.25rem 0 }
@media (max-width: 40rem) {
  th, td { padding: 0.3rem 0.25rem; font-size: 0.875rem }
}
@media print { .filter { display: none } }
`;
