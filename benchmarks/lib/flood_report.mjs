// The page that benchmarks/flood draws: each tenant's served cost over time under each policy, and
// how long its first tokens took. Static HTML with inline SVG.

const kWidth = 560;
const kHeight = 170;
const kMargin = {left: 56, right: 12, top: 26, bottom: 26};
const kColours = {a: '#1f6feb', b: '#1a7f37', c: '#cf222e'};

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// Mean over the last ten seconds, so that the eye sees rates and not single requests.
function smooth(values, seconds) {
  return Array.from({length: seconds}, (_, i) => {
    const part = values.slice(Math.max(0, i - 9), i + 1);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

function chart({policy, tenants}, scenario, seconds, top) {
  const x = (second) => kMargin.left + (kWidth - kMargin.left - kMargin.right) * second / seconds;
  const y = (value) => kHeight - kMargin.bottom -
    (kHeight - kMargin.top - kMargin.bottom) * Math.min(value, top) / top;
  const lines = tenants.map(({name, per_second}) => {
    const points = smooth(per_second, seconds).map((value, second) =>
      `${x(second).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline points="${points}" fill="none" stroke="${kColours[name]}" stroke-width="1.5"/>`;
  });
  const ticks = [0, 0.5, 1].map((share) => {
    const value = share * top;
    return `<text x="${kMargin.left - 6}" y="${y(value) + 4}" text-anchor="end">${Math.round(value / 1000)}k</text>` +
      `<line x1="${kMargin.left}" x2="${kWidth - kMargin.right}" y1="${y(value)}" y2="${y(value)}" stroke="#d0d7de"/>`;
  });
  const flood = scenario.tenants.find(({poisson}) => poisson).poisson;
  const to = Math.min(flood.to_s, seconds);
  return `<svg viewBox="0 0 ${kWidth} ${kHeight}" role="img" aria-label="${escape(policy)}">
<rect x="${x(flood.from_s)}" y="${kMargin.top}" width="${x(to) - x(flood.from_s)}" height="${kHeight - kMargin.top - kMargin.bottom}" fill="#fff1f0"/>
${ticks.join('')}${lines.join('')}
<text x="${kMargin.left}" y="16" class="title">${escape(policy)}</text>
<text x="${kWidth - kMargin.right}" y="${kHeight - 8}" text-anchor="end">${seconds} s</text>
<text x="${kMargin.left}" y="${kHeight - 8}">0</text>
</svg>`;
}

function table(results, scenario) {
  const seconds = (value) => Number.isFinite(value) ? `${value.toFixed(2)} s` : 'never';
  const percent = (value) => value === undefined ? '–' : `${(100 * value).toFixed(1)} %`;
  const rows = results.flatMap(({policy, tenants}) => tenants.map((each) => `<tr><td>${escape(policy)}</td>
<td style="color:${kColours[each.name]}">${each.name}</td><td>${percent(each.contract)}</td>
<td>${percent(each.in_time)}</td><td>${seconds(each.ttft_p50)}</td><td>${seconds(each.ttft_p99)}</td>
<td>${Math.round(each.most).toLocaleString('en')}</td></tr>`));
  return `<table><thead><tr><th>policy</th><th>tenant</th><th>of its contract</th>
<th>first tokens within ${scenario.ttft_limit_s} s</th><th>TTFT p50</th><th>TTFT p99</th>
<th>most cost/s in 60 s</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

export function drawFlood(results, scenario, {speed, seconds, facts}) {
  const top = 40000;
  const tenants = scenario.tenants.map(({name, guarantee_cost_per_s, cap_cost_per_s}) =>
    `<li style="color:${kColours[name]}"><b>${name}</b>: ${
      guarantee_cost_per_s ? `guarantee ${guarantee_cost_per_s} cost/s` : `ceiling ${cap_cost_per_s} cost/s`}</li>`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Flood</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#1f2328}
svg{width:100%;max-width:${kWidth}px;font-size:11px}.title{font-weight:600;font-size:13px}
.charts{display:flex;flex-wrap:wrap;gap:8px}table{border-collapse:collapse}td,th{padding:2px 12px;text-align:right}
td:first-child,th:first-child{text-align:left}tbody tr:nth-child(3n) td{border-bottom:1px solid #d0d7de}</style>
<h1>What a flood takes from its neighbours</h1>
<p>Cost served per second (normalised tokens, mean of ten seconds) to three tenants of one replica that can do
${scenario.engine.cost_per_s} cost/s. Tenant c floods in the shaded time. Same requests, same engine, same gateway.</p>
<ul>${tenants.join('')}</ul>
<div class="charts">${results.map((each) => chart(each, scenario, seconds, top)).join('')}</div>
<h2>In figures</h2>${table(results, scenario)}
<p>${escape(facts.processor)}, ${facts.cores} cores, commit ${escape(facts.commit)}, ${escape(facts.date)}; time ran
${speed} times faster.</p></html>
`;
}
