# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The links of the hosts and the pings between a trading host and the exchange, on the page."""

from __future__ import annotations

SECTION = """
<section>
<h2>RDMA</h2>
<div class="scroll"><table>
<tr><th>host</th><th>device</th><th>driver</th><th>state</th><th>interface</th>
  <th class="number">path MTU</th><th>GIDs</th><th>as the intent</th><th>errors counted</th></tr>
{% for name, host in hosts.items() %}
{% if host.rdma_link.error is defined %}
<tr class="bad"><td>{{ name }}</td><td colspan="8" class="reason">{{ host.rdma_link.error }}</td></tr>
{% else %}
<tr><td>{{ name }}</td><td><code>{{ host.rdma_link.device }}</code></td>
  <td>{{ host.rdma_link.driver }}{{ ' (software)' if host.rdma_link.emulated else '' }}</td>
  <td>{{ host.rdma_link.state }}, {{ host.rdma_link.physical_state }}</td>
  <td>{{ host.rdma_link.netdev }} (MTU {{ host.rdma_link.netdev_mtu_bytes }})</td>
  <td class="number">
    {{ 'unknown' if host.rdma_link.active_mtu_bytes is none else host.rdma_link.active_mtu_bytes }}</td>
  <td>
{% for gid in host.rdma_link.gids %}<code>{{ gid.index }}: {{ gid.gid }}</code> {{ gid.type }}<br>
{% endfor %}</td>
  <td>
{% if host.rdma_link.differences is not defined %}not compared{% else %}
{% for text in host.rdma_link.differences %}<div class="reason">{{ text }}</div>{% else %}yes{% endfor %}
{% for text in host.rdma_link.not_compared %}<div class="small">not compared: {{ text }}</div>{% endfor %}
{% endif %}</td>
  <td>
{% for counter, value in host.rdma_link.errors.items() if value %}<code>{{ counter }}</code> {{ value }}<br>
{% else %}none{% endfor %}
{% for counter, value in (host.rdma_link.errors_risen | default({})).items() %}
<div class="reason"><code>{{ counter }}</code> +{{ value }} during a ping</div>{% endfor %}
{% for ping in host.rdma_link.counters_unread | default([]) %}
<div class="reason">not read during {{ ping }}</div>{% endfor %}</td></tr>
{% endif %}
{% endfor %}
</table></div>
{% for name, host in hosts.items() if host.rdma_ping is defined %}
<h3>{{ name }}: half round trip (RC, send and receive)</h3>
{% if host.rdma_ping.error is defined %}
<p class="reason">{{ host.rdma_ping.error }}</p>
{% else %}
{{ drawings[name].ping }}
<div class="scroll"><table>
<tr><th>to</th><th class="number">size</th>
  <th class="number">min</th><th class="number">mean</th><th class="number">median</th>
  <th class="number">p99</th><th class="number">p99.9</th><th class="number">max</th>
  <th class="number">samples</th></tr>
<tr><td>{{ host.rdma_ping.peer_host }} (<code>{{ host.rdma_ping.peer_device }}</code>)</td>
  <td class="number">{{ host.rdma_ping.size_bytes }} bytes</td>
{% for field in ['min_us', 'mean_us', 'median_us', 'p99_us', 'p99_9_us', 'max_us'] %}
  <td class="number">{{ host.rdma_ping.half_round_trip[field] | us }}</td>{% endfor %}
  <td class="number">{{ host.rdma_ping.half_round_trip.samples }}</td></tr>
</table></div>
{% endif %}
{% endfor %}
<p class="small">The ping is a Python program over verbs: it proves the path and its budget;
it is not the speed of the NIC.</p>
</section>
"""
