// The style sheet of every report: light and dark on a screen, always light on paper.
#pragma once

#include <string_view>

namespace penstock::page {

inline constexpr std::string_view kPageStyle = R"css(
:root {
  color-scheme: light;
  --paper: #ffffff; --card: #f5f8fb; --ink: #14202b; --soft: #546372; --faint: #dde4ea;
  --p50: #0a64c2; --p90: #c8600a; --p99: #7a4fb3; --good: #1a7f4b; --doubt: #96690a; --bad: #b3261e;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --paper: #0f161d; --card: #18222c; --ink: #e8eef4; --soft: #9aabbb; --faint: #2a3742;
    --p50: #5eaeff; --p90: #f2a35e; --p99: #bb9af5; --good: #4ec98a; --doubt: #e0b04e; --bad: #ff7b72;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 "Inter", system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.5rem 3rem; }
header { display: flex; justify-content: space-between; gap: 2rem; align-items: baseline;
  border-bottom: 2px solid var(--p50); padding-bottom: .6rem; }
header p { margin: 0; color: var(--soft); }
.brand { font-weight: 700; letter-spacing: .02em; color: var(--p50); white-space: nowrap; }
h1 { font-size: 1.2rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem; break-after: avoid; }
.answer { font-size: 2.3rem; line-height: 1.15; font-weight: 700; letter-spacing: -.02em;
  margin: 1.8rem 0 .4rem; text-wrap: balance; }
.lead { font-size: 1.05rem; margin: 0 0 1.4rem; max-width: 46rem; text-wrap: pretty; }
.lead, .verdict, .provision, figcaption { overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; }
.card { background: var(--card); border-radius: .5rem; padding: .9rem 1.1rem; break-inside: avoid; }
.card h3 { margin: 0 0 .5rem; font-size: .95rem; }
.card h3 span { display: block; color: var(--soft); font-weight: 400; font-size: .85rem; }
.card dl { display: grid; grid-template-columns: 1fr auto; gap: .1rem .8rem; margin: 0;
  font-variant-numeric: tabular-nums; }
.card dt { color: var(--soft); } .card dd { margin: 0; text-align: right; font-weight: 600; }
.verdict { border-left: 4px solid; border-radius: .25rem; padding: .6rem 1rem; margin: 1.4rem 0;
  background: var(--card); break-inside: avoid; }
.verdict p { margin: 0; font-weight: 600; } .verdict ul { margin: .4rem 0 0; padding-left: 1.2rem; }
.verdict.good { border-color: var(--good); } .verdict.doubt { border-color: var(--doubt); }
.verdict.invalid { border-color: var(--bad); } .verdict.invalid p { color: var(--bad); }
.tag { font-size: .78rem; font-weight: 600; }
.tag.note { color: var(--soft); } .tag.doubt { color: var(--doubt); } .tag.invalid { color: var(--bad); }
figure { margin: 0 0 1.25rem; break-inside: avoid; } figcaption { color: var(--soft); font-size: .88rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1.5rem; }
.chart { width: 100%; height: auto; display: block; font-size: 12px; fill: var(--ink); }
.grid { stroke: var(--faint); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
.tick, .legend { fill: var(--soft); } .axis-title { fill: var(--soft); font-weight: 600; }
.tick { font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.label, .mark, .rule-text { paint-order: stroke; stroke: var(--paper); stroke-width: 4px;
  stroke-linejoin: round; }
.label { font-weight: 600; } .mark { font-weight: 700; fill: var(--p50); }
.ring { fill: none; stroke: var(--p50); stroke-width: 2; }
.series-0 { stroke: var(--p50); } .series-1 { stroke: var(--p90); } .series-2 { stroke: var(--p99); }
.line.series-1 { stroke-dasharray: 7 4; } .line.series-2 { stroke-dasharray: 2 3; }
.dot { fill: var(--paper); stroke-width: 2; } .dot.series-0 { fill: var(--p50); }
.rule { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 6 3; }
.rule-text { fill: var(--bad); font-weight: 600; }
.bar { fill: var(--p50); opacity: .8; } .series-3 { stroke: var(--good); }
.series-4 { stroke: var(--p90); } .series-5 { stroke: var(--p50); } .series-6 { stroke: var(--p99); }
.series-7 { stroke: var(--good); } .line.series-5 { stroke-dasharray: 2 3; }
.line.series-6 { stroke-dasharray: 9 3 2 3; } .line.series-7 { stroke-dasharray: 7 4; }
.pill { display: inline-block; border-radius: 1rem; padding: 0 .6rem; font-size: .82rem;
  font-weight: 600; border: 1.5px solid; white-space: nowrap; }
.pill.good { color: var(--good); } .pill.invalid { color: var(--bad); }
.pill.note { color: var(--soft); } td.bad { color: var(--bad); font-weight: 700; }
.promises td, .promises th { text-align: left; white-space: normal; vertical-align: top;
  padding: .45rem .6rem; } .promises td:first-child { min-width: 14rem; }
.promises { margin-bottom: 1.6rem; }
.word { display: inline-block; max-width: 100%; }
.sign { display: grid; grid-template-columns: 1fr 10rem 1fr; gap: 2rem; margin: 4rem 0 1rem;
  break-inside: avoid; }
.sign div { border-top: 1px solid var(--ink); padding-top: .3rem; color: var(--soft);
  font-size: .82rem; }
.provision { background: var(--card); border-radius: .5rem; padding: .9rem 1.1rem; margin: 1rem 0;
  break-inside: avoid; } .provision strong { font-size: 1.25rem; }
.wide { overflow-x: auto; margin-bottom: 1.25rem; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .28rem .45rem; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; }
thead tr:first-child:not(:last-child) th { text-align: center; }
thead tr:first-child:not(:last-child) th:not(:empty) { border-bottom: 1px solid var(--faint); }
tbody tr { border-top: 1px solid var(--faint); break-inside: avoid; }
tbody tr.best { background: var(--card); } tbody td.strong { font-weight: 700; }
td.remark, th.remark { text-align: left; color: var(--soft); white-space: normal; }
.facts { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2.5rem; break-inside: avoid; }
.facts dl { display: grid; grid-template-columns: 8rem 1fr; gap: .15rem .8rem; margin: 0;
  align-content: start; font-size: .9rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.terms { columns: 2; column-gap: 2.5rem; margin: 0; font-size: .86rem; }
.terms div { break-inside: avoid; margin-bottom: .5rem; }
.terms dt { font-weight: 600; } .terms dd { margin: 0; color: var(--soft); }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .9em;
  overflow-wrap: anywhere; }
footer { margin-top: 2rem; padding-top: .6rem; border-top: 1px solid var(--faint);
  color: var(--soft); font-size: .82rem; }
@media screen and (max-width: 44rem) {
  .pair, .facts { grid-template-columns: 1fr; } .terms { columns: 1; }
  main { padding: 1.5rem 1rem 2rem; } figure { overflow-x: auto; }
  .curve .chart { width: auto; min-width: 34rem; }
  .answer { font-size: 1.7rem; } header { flex-direction: column; gap: .3rem; }
  .cards { grid-template-columns: 1fr; }
  .promises thead { display: none; } .promises tr { display: block; padding: .5rem 0; }
  .promises td, .promises td:first-child { display: block; min-width: 0; padding: .1rem 0; }
  .sign { grid-template-columns: 1fr; gap: 2.5rem; }
}
@page { margin: 14mm 13mm; }
@media print {
  html { font-size: 12px; }
  body { font-size: 9.4pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  .answer { margin-top: 1.2rem; } h2 { margin-top: 1.1rem; margin-bottom: .35rem; }
  .verdict { margin: 1rem 0; }
  .cards { grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); }
  .curve .chart { width: auto; max-width: 100%; max-height: 88mm; margin: 0 auto; }
  .terms { font-size: 7.6pt; line-height: 1.35; } .facts dl { font-size: 8pt; }
  footer { margin-top: .5rem; padding-top: .3rem; }
  .pair .chart { width: auto; max-width: 100%; max-height: 50mm; }
  table { font-size: 8pt; line-height: 1.3; } th, td { padding: .16rem .3rem; }
  .facts dl { line-height: 1.35; gap: .08rem .8rem; } .terms div { margin-bottom: .3rem; }
  .wide { overflow: visible; } .keep { break-inside: avoid; }
}
)css";

}  // namespace penstock::page
