# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page. It is Python, as a module on its way to a host takes nothing but Python along."""

from __future__ import annotations

from ansible_collections.tickwire.fabric.plugins.module_utils.report import mesh_page, rdma_template

STYLE = """
:root { --ink: #1f2733; --muted: #5d6b7e; --line: #dde3eb; --soft: #f5f7fa; --good: #14713d; --goodsoft: #e6f4ec;
  --bad: #b3261e; --badsoft: #fcebe9; --warn: #8a5200; --warnsoft: #fff4e0; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--soft); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
header { border-radius: 10px; padding: 20px 24px; color: #fff; }
header.passed { background: var(--good); } header.failed { background: var(--bad); }
header h1 { margin: 0; font-size: 25px; } header p { margin: 4px 0 0; opacity: .92; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 18px 22px; margin-top: 18px; }
h2 { margin: 0 0 10px; font-size: 18px; } h3 { margin: 18px 0 4px; font-size: 15px; }
.note { background: var(--warnsoft); border: 1px solid #f0d9ae; color: var(--warn);
  border-radius: 10px; padding: 12px 18px; margin-top: 18px; }
.note p { margin: 4px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px; margin-top: 18px; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; }
.card b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
.card span { color: var(--muted); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--muted); font-weight: 600; font-size: 13px; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; } td.number, th.number { text-align: right; white-space: nowrap; }
code { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.pill { display: inline-block; border-radius: 20px; padding: 0 10px; font-size: 13px; font-weight: 600; }
.pill.ok { background: var(--goodsoft); color: var(--good); }
.pill.bad { background: var(--badsoft); color: var(--bad); }
tr.bad td { background: var(--badsoft); } .reason { color: var(--bad); font-size: 13px; overflow-wrap: anywhere; }
.use { width: 110px; height: 7px; border-radius: 4px; background: var(--line); margin-top: 8px; }
.use i { display: block; height: 7px; border-radius: 4px; background: var(--good); }
tr.bad .use i { background: var(--bad); }
svg { width: 100%; height: auto; display: block; }
footer, .small { color: var(--muted); font-size: 13px; } footer { margin-top: 22px; }
@media print { body { background: #fff; } section, .card { break-inside: avoid; } }
"""

PAGE = (
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>"""
    + STYLE
    + mesh_page.STYLE
    + """</style>
</head>
<body>
<main>
<header class="{{ document.verdict }}">
  <h1>{{ title }}</h1>
  <p>{{ document.gates | length - failed | length }} of {{ document.gates | length }} gates passed
     on {{ hosts | length }} hosts &middot; {{ document.generated }}</p>
</header>

{% if document.notes %}
<div class="note">
{% for note in document.notes %}  <p>{{ note }}</p>
{% endfor %}
</div>
{% endif %}

<div class="cards">
{% for name, host in hosts.items() if host.t2t is defined and host.t2t.median_ns | default(none) is not none %}
  <div class="card"><b>{{ host.t2t.median_ns | duration }}</b><span>{{ host.t2t | t2t_name }} median, {{ name }}
    ({{ host.t2t.timestamp_source }} stamps)</span></div>
  <div class="card"><b>{{ host.t2t.p99_ns | duration }}</b><span>{{ host.t2t | t2t_name }} p99, {{ name }}</span></div>
{% endfor %}
{% for name, host in hosts.items() if host.rdma_ping is defined and host.rdma_ping.half_round_trip is defined %}
  <div class="card"><b>{{ host.rdma_ping.half_round_trip.median_us | us }}</b>
    <span>RDMA half round trip median, {{ name }} to
    {{ host.rdma_ping.peer_host }}{{ ' (Soft-RoCE)' if host.rdma_ping.emulated else '' }}</span></div>
{% endfor %}
{% for name, host in hosts.items() if host.ptp_role == 'ordinary' and (host.ptp | default({})).offset_ns is defined %}
  <div class="card"><b>{{ host.ptp.offset_ns | duration }}</b><span>PTP offset from the grandmaster, {{ name }}
    ({{ 'locked' if host.ptp.locked else 'not locked' }})</span></div>
{% endfor %}
</div>

<section>
<h2>Gates</h2>
<div class="scroll"><table>
<tr><th></th><th>gate</th><th>host</th><th class="number">value</th><th class="number">budget</th>
  <th>of the budget</th></tr>
{% for gate in document.gates | sort(attribute='ok') %}
<tr class="{{ 'ok' if gate.ok else 'bad' }}">
  <td><span class="pill {{ 'ok' if gate.ok else 'bad' }}">{{ 'pass' if gate.ok else 'FAIL' }}</span></td>
  <td><code>{{ gate.name }}</code>{% if not gate.ok %}<div class="reason">{{ gate.reason }}</div>{% endif %}</td>
  <td>{{ gate.host }}</td>
  <td class="number">{{ gate_value(gate.value, gate.unit) }}</td>
  <td class="number">{{ gate_value(gate.budget, gate.unit) }}</td>
{% set used = use_percent(gate) %}
  <td>{% if used is not none %}
    <div class="use" title="{{ used }} %"><i style="width:{{ used }}%"></i></div>{% endif %}</td>
</tr>
{% endfor %}
</table></div>
<p class="small">Budgets come from <code>fabric_budgets</code> in the inventory.
A value that could not be measured is a failed gate.</p>
</section>

{% if measured %}
<section>
<h2>Tick-to-trade</h2>
{% for name, host in hosts.items() if host.t2t is defined %}
<h3>{{ name }}{{ ", " + (host.t2t | t2t_name) if host.t2t.timestamp_source | default("") == "completion" else "" }}</h3>
{% if host.t2t.error is defined %}
<p class="reason">{{ host.t2t.error }}</p>
{% else %}
{% if host.t2t.software_rdma | default(false) %}
<p class="reason">{{ host.t2t.headline }}</p>
{% endif %}
{{ drawings[name].t2t }}
<div class="scroll"><table>
<tr><th class="number">min</th><th class="number">mean</th><th class="number">median</th><th class="number">p99</th>
  <th class="number">p99.9</th><th class="number">max</th><th class="number">stddev</th><th class="number">samples</th>
  <th class="number">unstamped</th><th>stamps</th></tr>
<tr>{% for field in ['min_ns', 'mean_ns', 'median_ns', 'p99_ns', 'p99_9_ns', 'max_ns', 'stddev_ns'] %}
  <td class="number">{{ host.t2t[field] | duration }}</td>{% endfor %}
  <td class="number">{{ host.t2t.samples }}</td><td class="number">{{ host.t2t.unstamped }}</td>
  <td>{{ host.t2t.timestamp_source }}</td></tr>
{% if host.t2t.software %}
<tr>{% for field in ['min_ns', 'mean_ns', 'median_ns', 'p99_ns', 'p99_9_ns', 'max_ns', 'stddev_ns'] %}
  <td class="number">{{ host.t2t.software[field] | duration }}</td>{% endfor %}
  <td class="number">{{ host.t2t.software.samples }}</td><td class="number"></td>
  <td>{{ "software" if host.t2t | t2t_beside == "kernel" else "application" }}, the same orders</td></tr>
{% endif %}
</table></div>
<p class="small">Jitter: {% for figure, value in (host.t2t.jitter or {}).items() %}
{{ figure | replace('_', ' ') }} <b>{{ value | percent }}</b>{{ '; ' if not loop.last else '.' }}
{% endfor %}
Feed: {% for figure, value in (host.t2t.feed or {}).items() %}
{{ figure }} {{ value }}{{ ', ' if not loop.last else '.' }}
{% endfor %}
Orders: {% for figure, value in (host.t2t.orders or {}).items() %}
{{ figure }} {{ value }}{{ ', ' if not loop.last else '.' }}
{% endfor %}
</p>
{% endif %}
{% else %}
<p class="reason">No trading host was measured.</p>
{% endfor %}
<p class="small">From the receive stamp of the market data packet
to the transmit stamp of the order it triggered, on one clock;
every sample is kept. Percentiles are nearest rank, the deviation is the population's.</p>
</section>
{% endif %}

"""
    + rdma_template.SECTION
    + mesh_page.SECTION
    + """
{% for name, host in hosts.items() if host.coexistence is defined %}
<section>
<h2>Co-existence: the probes' lane on {{ name }} while another lane is saturated</h2>
{% for kind, found in [('queues of the role', host.coexistence), ('one plain queue', host.coexistence.plain)]
   if found is defined %}
<h3>{{ kind }}</h3>
{% if found.error is defined %}
<p class="reason">{{ found.error }}</p>
{% else %}
<div class="scroll"><table>
<tr><th>rounds</th><th class="number">median</th><th class="number">p99</th><th class="number">max</th>
  <th class="number">lost</th><th class="number">of</th><th class="number">load</th>
  <th class="number">ECN marks</th></tr>
{% for load in ['idle', 'busy', 'loaded'] if found[load] %}
<tr><td>{{ load }}</td>
{% for field in ['median_us', 'p99_us', 'max_us'] %}  <td class="number">{{ found[load][field] | us }}</td>
{% endfor %}
  <td class="number">{{ found[load].lost }}</td><td class="number">{{ found[load].sent }}</td>
  <td class="number">{{ '%.1f' | format(found[load].load_mbps) }} Mbit/s</td>
  <td class="number">{{ found[load].ce_packets }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% endfor %}
<p class="small">Round trips between kernel stamps, without the other end's own time; percentiles of the median round.
Busy: with a load that the bottleneck carries without a queue. Loaded: with all that gets through.</p>
</section>
{% endfor %}

{% for name, host in hosts.items() if host.jitter is defined %}
<section>
<h2>Jitter: what disturbed the isolated CPUs of {{ name }}</h2>
{% for kind, found in [('now', host.jitter), ('before the role changed the host', host.jitter.before)]
   if found is defined %}
<h3>{{ kind }}</h3>
{% if found.error is defined %}
<p class="reason">{{ found.error }}</p>
{% else %}
<div class="scroll"><table>
<tr><th>CPU</th><th class="number">min</th><th class="number">mean</th><th class="number">p99</th>
  <th class="number">max</th><th class="number">samples</th><th class="number">beyond the histogram</th></tr>
{% for one in found.per_cpu %}
<tr><td>{{ one.cpu }}</td>
{% for field in ['min_us', 'avg_us', 'p99_us', 'max_us'] %}  <td class="number">{{ one[field] | us }}</td>
{% endfor %}
  <td class="number">{{ one.samples }}</td><td class="number">{{ one.beyond }}</td></tr>
{% endfor %}
</table></div>
<div class="scroll"><table>
<tr><th>who</th><th>name</th><th>CPU</th><th class="number">times</th><th class="number">time</th></tr>
{% for who, entries in [('thread', found.threads), ('interrupt', found.irqs), ('softirq', found.softirqs)] %}
{% for entry in entries %}
<tr><td>{{ who }}</td><td><code>{{ entry.name }}</code></td><td>{{ entry.cpu }}</td>
  <td class="number">{{ entry.count }}</td><td class="number">{{ entry.time_us | default(none) | us }}</td></tr>
{% endfor %}
{% endfor %}
</table></div>
<p class="small">{{ found.tool }} {{ found.version }} for {{ found.duration_s }} s on {{ found.kernel }},
{{ found.taken }}. Disturbers by {{ 'the trace' if found.named_by == 'trace' else 'counters before and after,
a thread on the CPU that it ran on last' }}.</p>
{% endif %}
{% endfor %}
</section>
{% endfor %}

{% if measured %}
<section>
<h2>PTP</h2>
<div class="scroll"><table>
<tr><th>host</th><th>role</th><th>port</th><th>grandmaster</th><th class="number">offset</th>
  <th class="number">path delay</th><th>locked</th></tr>
{% for name, host in hosts.items() %}
{% if host.ptp.error is defined or not host.ptp.running %}
<tr class="bad"><td>{{ name }}</td><td>{{ host.ptp_role }}</td>
  <td colspan="5" class="reason">{{ host.ptp.error | default(host.ptp.reason) }}</td></tr>
{% else %}
<tr><td>{{ name }}</td><td>{{ host.ptp_role }}</td>
  <td>{% for port in host.ptp.ports %}<code>{{ port.identity }}</code> {{ port.state }}<br>{% endfor %}</td>
  <td><code>{{ host.ptp.grandmaster_identity }}</code> (class {{ host.ptp.grandmaster_clock_class }})</td>
{% if host.ptp_role == 'grandmaster' %}
  <td class="number">&ndash;</td><td class="number">&ndash;</td>
{% else %}
  <td class="number">{{ host.ptp.offset_ns | duration }}</td>
  <td class="number">{{ host.ptp.mean_path_delay_ns | duration }}</td>
{% endif %}
  <td><span class="pill {{ 'ok' if host.ptp.locked else 'bad' }}">
    {{ 'locked' if host.ptp.locked else 'not locked' }}</span>
{% if host.ptp.reason %}<div class="reason">{{ host.ptp.reason }}</div>{% endif %}</td></tr>
{% endif %}
{% endfor %}
</table></div>
</section>
{% endif %}

<section>
<h2>Hosts</h2>
<div class="scroll"><table>
<tr><th>host</th><th>role</th><th>system</th><th>kernel</th><th>kernel command line</th></tr>
{% for name, host in hosts.items() %}
<tr><td>{{ name }}</td><td>{{ host.role }}</td><td>{{ host.facts.system | default('unknown') }}</td>
  <td>{{ host.facts.kernel | default('unknown') }}</td>
  <td><code>{{ host.facts.cmdline | default('unknown') }}</code></td></tr>
{% endfor %}
</table></div>
</section>

<footer>Written by tickwire.fabric, playbooks/validate.yml. The same figures for machines
are in report.json beside this file.</footer>
</main>
</body>
</html>
"""
)
