# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that are the way to a Cumulus switch; module_utils/fabric/nvue/connection.py has them as code."""

from __future__ import annotations

import textwrap


class ModuleDocFragment:
    """ARGUMENTS of module_utils, and by ``nvue.nested`` the same as one option."""

    DOCUMENTATION = r"""
options:
  method:
    description:
      - C(cli) runs C(nv) on the switch, which then is the managed host.
      - C(rest) talks to the REST interface of NVUE from wherever the module runs, mostly the controller.
    type: str
    choices: [cli, rest]
    default: cli
  url:
    description:
      - Where the REST interface is, such as V(https://leaf1:8765). Needed with C(rest).
    type: str
  username:
    description:
      - User of the REST interface.
    type: str
  password:
    description:
      - Password of the user.
    type: str
  token:
    description:
      - A token of the REST interface, instead of user and password.
    type: str
  validate_certs:
    description:
      - Whether the certificate of the switch has to be valid.
    type: bool
    default: true
  ca_path:
    description:
      - File with the certificates that may have signed that of the switch.
    type: path
  timeout_s:
    description:
      - Seconds that the switch may take by REST. C(nv) ends by itself, and is not stopped in the middle.
    type: int
    default: 300
"""

    # With its type, since ansible-test takes what is assigned without one for a literal.
    NESTED: str = r"""
options:
  nvue:
    description:
      - The way to a Cumulus switch. Without it C(nv) is run on the switch.
    type: dict
    suboptions:""" + textwrap.indent(DOCUMENTATION.partition("options:")[2], "    ")
