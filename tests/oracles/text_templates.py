"""Chat templates and template snippets for make_text_goldens.py: written for the tests, to use every
feature that published templates use."""

TEMPLATES = {
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
""",
    # Llama-2's form: the system text inside the first user turn, roles must take turns.
    "inst": """{% if messages[0]['role'] == 'system' -%}
    {%- set system = messages[0]['content'] -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set rest = messages -%}
{%- endif -%}
{{ bos_token }}
{%- for message in rest -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('Roles must take turns: user, assistant, user ...') }}
    {%- endif -%}
    {%- if message['role'] == 'user' -%}
        {%- if loop.first and system is defined -%}
            {{ '[INST] <<SYS>>\\n' + system | trim + '\\n<</SYS>>\\n\\n' + message['content'] | trim + ' [/INST]' }}
        {%- else -%}
            {{ '[INST] ' + message['content'] | trim + ' [/INST]' }}
        {%- endif -%}
    {%- elif message['role'] == 'assistant' -%}
        {{ ' ' + message['content'] | trim + ' ' + eos_token }}
    {%- else -%}
        {{ raise_exception('The role ' ~ message.role ~ ' is not known.') }}
    {%- endif -%}
{%- endfor -%}
""",
    # Content as text or parts, tools by a macro, thoughts cut out of history, a namespace.
    "tools": """{%- macro describe(tool, level=0) -%}
    {%- for key, value in tool | dictsort -%}
        {{ '  ' * level }}{{ key }}:
        {%- if value is mapping %}
{{ '\\n' + describe(value, level + 1) }}
        {%- elif value is sequence and value is not string %} [{{ value | join(', ') }}]
{% else %} {{ value }}
{% endif -%}
    {%- endfor -%}
{%- endmacro -%}
{%- macro text_of(content) -%}
    {%- if content is string -%}{{ content }}
    {%- elif content is iterable and content is not none -%}
        {%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
    {%- else -%}{{ '' }}{%- endif -%}
{%- endmacro -%}
{%- set ns = namespace(last_query=-1, calls=0) -%}
{%- for message in messages[::-1] -%}
    {%- set index = (messages | length - 1) - loop.index0 -%}
    {%- if ns.last_query < 0 and message.role == 'user' and not text_of(message.content).startswith('<tool_response>') -%}
        {%- set ns.last_query = index -%}
    {%- endif -%}
{%- endfor -%}
{%- if tools %}
{{- '<|im_start|>system\\n# Tools\\n' }}
{%- for tool in tools %}
{{- '\\n' ~ (tool | tojson) }}
{{- '\\n' ~ describe(tool) }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- set content = text_of(message.content) %}
    {%- if message.role == 'user' or (message.role == 'system' and loop.first) %}
{{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set thought = '' %}
        {%- if message.reasoning is string %}
            {%- set thought = message.reasoning %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
{{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.last_query and thought %}
{{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}
        {%- endif %}
{{- content }}
        {%- for call in message.tool_calls or [] %}
            {%- set ns.calls = ns.calls + 1 %}
{{- '\\n<tool_call>\\n' ~ {'name': call.function.name, 'arguments': call.function.arguments} | tojson ~ '\\n</tool_call>' }}
        {%- endfor %}
{{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or loop.previtem.role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
{{- '\\n<tool_response>\\n' ~ content ~ '\\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if ns.calls %}{{- '(' ~ ns.calls ~ ' calls)\\n' }}{% endif %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""",
    # Header ids, date, strftime, default, set-block, filter block, loop controls.
    "headers": """{{ bos_token }}
{%- set date = date_string | default('26 Jul 2024', true) %}
{% set head %}
Cutting Knowledge Date: December 2023
Today Date: {{ date }}
{% endset %}
{% for message in messages %}
    {% if message.role not in ['system', 'user', 'assistant'] %}
        {% continue %}
    {% endif %}
    {% if loop.index > 6 %}{% break %}{% endif %}
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>' }}

{% filter trim %}
  {{ head if loop.first else '' }}{{ message['content'] }}
{% endfilter %}<|eot_id|>
{% else %}
(nothing was said)
{% endfor %}
{% if add_generation_prompt %}
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    # Generation blocks, phi-3's end of text, tuple unpacking, enumerate by loop.
    "generation": """{% for message in messages %}
    {%- if message['role'] == 'assistant' -%}
<|assistant|>
{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}

    {% else -%}
<|{{ message['role'] }}|>
{{ message['content'] }}<|end|>
    {% endif -%}
{% endfor -%}
{% if add_generation_prompt %}<|assistant|>
{% else %}{{ eos_token }}{% endif %}""",
    # Gemma's form: model instead of assistant, a macro with caller, unpacking, reject and selectattr.
    "turns": """{{ bos_token }}{% macro turn(role) -%}
<start_of_turn>{{ role }}
{{ caller() | trim }}<end_of_turn>
{% endmacro -%}
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | join('\\n\\n') -%}
{%- set turns = messages | rejectattr('role', 'eq', 'system') | list -%}
{%- for role, content in turns | map(attribute='role') | list | unique | list | batch(2) if false %}{% endfor -%}
{%- for message in turns -%}
    {%- call turn('model' if message.role == 'assistant' else message.role) -%}
        {%- if loop.first and system %}{{ system ~ '\\n\\n' }}{% endif -%}
        {{ message.content }}
    {%- endcall -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif -%}
""",
    # Deep use of slices, unpacking, dict and list literals, inline if, sorting, tests by symbol.
    "zoo": """{%- set labels = {'user': 'U', 'assistant': 'A', "system": 'S'} -%}
{%- set counts = namespace() -%}
{%- for role in labels | sort -%}
    {%- set found = messages | selectattr('role', '==', role) | list -%}
    {{ labels[role] }}={{ found | length }}{{ ',' if not loop.last }}
{%- endfor %}
{%- for role, mark in labels.items() %} {{ role[0] | upper }}{{ role[1:] }}:{{ mark * 2 }}{% endfor %}

{% for message in messages -%}
    {% set words = message.content.split() -%}
    {{ loop.index }}/{{ loop.length }} {{ labels.get(message.role, '?') }} {{ words[:3] }} {{ words[-1:] | first | default('-') }} {{ message.content[::5] }} {{ message.content | length }} {{ loop.cycle('a', 'b') }}
    {%- if message.content is string and message.content | trim == '' %} (empty){% endif %}
    {# a comment #}
    {%- raw %} {{ not a tag }} {% endraw %}
{% endfor -%}
{{ {'a': [1, 2.5, none, true], 'b': ('x',)} }} {{ ['it\\'s', "q\\"", 'n\\n'] }}
{{ {'z': 1, 'a': [1, {'k': 'v "q" é'}]} | tojson(indent=2) }}
{{ messages[-1].missing is defined }} {{ messages[0]['nothing'] | default('none here') }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 7 / 2 }} {{ 1e3 }}
""",
    # Mistral-like indices, exceptions with data in them, nested macros with defaults and varargs.
    "strict": """{%- if messages | length == 0 %}{{ raise_exception('There are no messages') }}{% endif -%}
{%- macro wrap(open, close='') -%}
    {{ open }}{{ varargs | join('|') }}{{ close }}{% for k, v in kwargs.items() %} {{ k }}={{ v }}{% endfor %}
{%- endmacro -%}
{%- for m in messages -%}
    {%- if m.role == 'system' and not loop.first -%}
        {{ raise_exception('A system message must come first, not at ' ~ loop.index) }}
    {%- elif m.content is none or m.content is undefined -%}
        {{ raise_exception('A message has no content') }}
    {%- endif -%}
    {{ wrap('<' ~ m.role ~ '>', '</' ~ m.role ~ '>', m.content | replace('\\n', ' '), m.content | length | string, n=loop.index) }}
{% endfor -%}
""",
}

# One line each: expression or template text, rendered with CONTEXT.
SNIPPETS = r"""
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1] }}
{{ undefined_name }}|{{ undefined_name is defined }}|{{ undefined_name | default('d') }}|{{ '' | default('e', true) }}
{{ 'x' in undefined_name }}|{{ 'x' not in undefined_name }}
{{ undefined_name.attr }}
{{ undefined_name + 'x' }}
{{ none.attr }}|{{ none.attr is undefined }}
{{ d.a }}|{{ d['a'] }}|{{ d.missing }}|{{ d.items() }}
{{ d.b.c }}|{{ d['b']['c'] }}|{{ d.b.d[1] }}|{{ d.b.d.0 }}
{{ l[0] }}|{{ l[-1] }}|{{ l[99] }}|{{ l[1:3] }}|{{ l[::-1] }}|{{ l[::2] }}|{{ l[-2:] }}|{{ l[:-1] }}|{{ l[5:1:-2] }}
{{ s[0] }}|{{ s[-1] }}|{{ s[1:4] }}|{{ s[::-1] }}|{{ s[::5] }}|{{ s[99] }}|{{ s | length }}
{{ u[0] }}|{{ u[1:3] }}|{{ u[::-1] }}|{{ u | length }}|{{ u | upper }}|{{ u | lower }}|{{ u | capitalize }}|{{ u | title }}
{{ 'hello wORLD-foo (bar) x_y' | title }}|{{ 'hello wORLD' | capitalize }}|{{ "they're bill's" | title }}|{{ "they're bill's".title() }}
{{ 1 + 2 * 3 - 4 / 2 }}|{{ 7 // 2 }}|{{ 7 % 3 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 2 ** 3 ** 2 }}|{{ 2 ** -1 }}
{{ 1 == 1.0 }}|{{ 1 == '1' }}|{{ true == 1 }}|{{ [1] == [1.0] }}|{{ {'a': 1} == {'a': 1} }}|{{ (1,) == [1] }}|{{ none == false }}
{{ 1 < 2 < 3 }}|{{ 3 > 2 > 2 }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}|{{ 1 != 2 }}|{{ 2 >= 2 }}
{{ 1 < 'a' }}
{{ not true or true and false }}|{{ 0 or 'x' }}|{{ '' and 'y' }}|{{ 'x' and 'y' }}|{{ not 'x' in 'xyz' }}
{{ 'a' if true }}|{{ 'a' if false }}|{{ 'a' if false else 'b' if false else 'c' }}
{{ 1.0 }}|{{ 1e16 }}|{{ 1e15 }}|{{ 1.5e-5 }}|{{ 0.1 + 0.2 }}|{{ 1e22 }}|{{ 123456789.125 }}|{{ 1_000 }}|{{ 0x1f }}|{{ 0b101 }}|{{ 0o17 }}
{{ -1 | abs }}|{{ -l[0] }}|{{ +3 }}|{{ - - 3 }}|{{ (-1) ** 2 }}
{{ [1, 'a', "b'c", 'd"e', none, true, 1.0, [], {}, ()] }}
{{ {'k': 'v', 1: 2, none: true, 'n': {'m': [1]}} }}
{{ (1, 2) }}|{{ (1,) }}|{{ () }}|{{ 1, 2 }}
{{ 'line\nbreak\ttab\\ \' \" \x41 \u00e9' }}|{{ ['line\nbreak\ttab\\ \x00 \x7f \u200b é 😀'] }}
{{ 'a' 'b' "c" }}
{{ d | tojson }}|{{ l | tojson }}|{{ 'é"\\\n\x01' | tojson }}|{{ none | tojson }}|{{ 1.0 | tojson }}|{{ true | tojson }}
{{ 'é😀' | tojson(ensure_ascii=true) }}|{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}|{{ [1, 2] | tojson(separators=(',', ':')) }}
{{ {'a': [1, {'b': []}], 'c': {}} | tojson(indent=4) }}
{{ [] | tojson(indent=2) }}|{{ {1: 'x', none: 2, true: 3} | tojson }}|{{ (1, 'a') | tojson }}
{{ undefined_name | tojson }}
{{ l | join(', ') }}|{{ l | join }}|{{ objs | join('-', attribute='n') }}|{{ 'abc' | join('.') }}|{{ d | join(',') }}
{{ l | first }}|{{ l | last }}|{{ [] | first }}|{{ 'abc' | last }}|{{ l | length }}|{{ d | length }}|{{ l | count }}
{{ l | sum }}|{{ objs | sum(attribute='n') }}|{{ l | min }}|{{ l | max }}|{{ ['b', 'A', 'c'] | min }}|{{ ['b', 'A', 'c'] | max }}|{{ [] | min }}
{{ ['b', 'A', 'c'] | sort }}|{{ ['b', 'A', 'c'] | sort(case_sensitive=true) }}|{{ l | sort(reverse=true) }}|{{ objs | sort(attribute='n') | map(attribute='name') | list }}
{{ objs | sort(attribute='g,n') | map(attribute='name') | join(',') }}
{{ ['b', 'B', 'a'] | unique | list }}|{{ [1, 1, 2] | unique | list }}|{{ 'abc' | reverse }}|{{ l | reverse | list }}
{{ d | dictsort }}|{{ {'b': 1, 'A': 2} | dictsort(false, 'value') }}|{{ {'b': 1, 'A': 2} | dictsort(true) }}|{{ {'b': 1, 'A': 2} | dictsort(reverse=true) }}
{{ l | map('string') | list }}|{{ ['a', 'b'] | map('upper') | join }}|{{ objs | map(attribute='name') | list }}|{{ objs | map(attribute='zz', default='-') | list }}|{{ ['1', 'x'] | map('int', default=7) | list }}
{{ l | select('odd') | list }}|{{ l | reject('odd') | list }}|{{ l | select('gt', 2) | list }}|{{ [0, 1, '', 'a'] | select | list }}|{{ l | select('in', [1, 2]) | list }}
{{ objs | selectattr('g') | map(attribute='name') | list }}|{{ objs | rejectattr('g') | map(attribute='name') | list }}|{{ objs | selectattr('n', '>=', 2) | map(attribute='name') | list }}|{{ objs | selectattr('g', 'none') | list | length }}
{{ '  x y ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ '  a ' .strip() }}|{{ 'xxaxx'.strip('x') }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|
{{ 'a,b,,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a b c'.rsplit(' ', 1) }}|{{ ' a  b  c '.split(none, 1) }}|{{ ''.split() }}|{{ ''.split(',') }}|{{ ' a  b  c '.rsplit(none, 1) }}
{{ 'abcabc'.replace('b', 'X') }}|{{ 'abcabc' | replace('b', 'X', 1) }}|{{ 'aaa'.replace('', '-') }}|{{ 'aaa'.replace('a', '', 2) }}
{{ 'abc'.startswith('a') }}|{{ 'abc'.endswith(('x', 'c')) }}|{{ 'abcabc'.find('c') }}|{{ 'abcabc'.rfind('c') }}|{{ 'abc'.find('z') }}|{{ 'abcabc'.count('b') }}|{{ 'abc'.index('b') }}
{{ 'a-b-c'.partition('-') }}|{{ 'a-b-c'.rpartition('-') }}|{{ 'abc'.partition('-') }}|{{ 'abc'.removeprefix('a') }}|{{ 'abc'.removesuffix('bc') }}|{{ '-'.join(['a', 'b']) }}
{{ '12'.isdigit() }}|{{ 'a1'.isalnum() }}|{{ 'ab'.isalpha() }}|{{ ' '.isspace() }}|{{ 'AB'.isupper() }}|{{ 'ab'.islower() }}|{{ ''.isdigit() }}|{{ 'Ab'.isupper() }}
{{ 'a\nb\r\nc\n'.splitlines() }}|{{ 'x{}y{}'.format(1, 'b') }}|{{ '{0}{1}{0}{n}{{}}'.format('a', 2, n=3) }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb\n\nc' | indent(2, true) }}|{{ 'a\nb\n\nc' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}
{{ '42' | int }}|{{ '4.9' | int }}|{{ 'x' | int }}|{{ 'x' | int(5) }}|{{ '0x1f' | int(0, 16) }}|{{ 3.7 | int }}|{{ true | int }}|{{ '1.5' | float }}|{{ 'x' | float }}|{{ 2 | float }}|{{ none | int }}
{{ 2.5 | round }}|{{ 3.5 | round }}|{{ 2.675 | round(2) }}|{{ 42 | round }}|{{ 2.1 | round(0, 'ceil') }}|{{ 2.9 | round(method='floor') }}|{{ 1234.5 | round(-2) }}
{{ 'foo bar baz qux' | truncate(9) }}|{{ 'foo bar baz qux' | truncate(9, true) }}|{{ 'foo bar baz qux' | truncate(11, leeway=0) }}|{{ 'a b-c_d' | wordcount }}|{{ 'ab' | center(7) }}|
{{ '%s is %d' | format('x', 3) }}|{{ '%s' % 'a' }}|{{ '%s-%s' % ('a', 1) }}|{{ '%.2f' % 1.239 }}|{{ '%05d' % 42 }}|{{ '100%%' % () }}
{{ l | batch(2) | list }}|{{ l | batch(2, 'x') | list }}|{{ l | slice(2) | list }}|{{ [1, 2, 3, 4, 5] | slice(3, 'f') | list }}
{{ 'a<b>&"\'' | escape }}|{{ 'x' | safe }}|{{ 5 | string + 'a' }}|{{ d | items | list }}|{{ d | list }}|{{ 'abc' | list }}
{{ 1 is number }}|{{ true is number }}|{{ true is integer }}|{{ 1 is integer }}|{{ 1.0 is float }}|{{ true is boolean }}|{{ 'a' is string }}|{{ none is none }}|{{ d is mapping }}|{{ l is mapping }}
{{ l is sequence }}|{{ d is sequence }}|{{ 'a' is sequence }}|{{ 5 is sequence }}|{{ l is iterable }}|{{ 5 is iterable }}|{{ d.items() is sequence }}|{{ range(3) is sequence }}|{{ none is iterable }}
{{ 3 is odd }}|{{ 4 is even }}|{{ 9 is divisibleby(3) }}|{{ 9 is divisibleby 3 }}|{{ 'A' is upper }}|{{ 'a' is lower }}|{{ 1 is in [1] }}|{{ 1 is not in [1] }}|{{ 1 is eq 1 }}|{{ 1 is equalto(2) }}|{{ 2 is gt 1 }}|{{ 1 is lt 1 }}|{{ 1 is sameas(1) }}|{{ true is true }}|{{ 1 is true }}|{{ false is false }}
{{ range is callable }}|{{ d.get is callable }}|{{ l is callable }}|{{ 'upper' is filter }}|{{ 'zzz' is filter }}|{{ 'odd' is test }}
{{ range(3) | list }}|{{ range(1, 4) | list }}|{{ range(5, 0, -2) | list }}|{{ range(0) | list }}|{{ range(3)[1] }}|{{ range(2, 5) | length }}
{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}|{% for i in undefined_name %}x{% else %}undef{% endfor %}|{% for c in 'héy' %}[{{ c }}]{% endfor %}|{% for k in d %}{{ k }}{% endfor %}
{% for i in l if i is odd %}{{ i }}{{ loop.length }}{% else %}none{% endfor %}|{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }},{% endfor %}|{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}|{% set ns = namespace(v=0) %}{% for i in l %}{% set ns.v = ns.v + i %}{% endfor %}{{ ns.v }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}|{% set a, b = 1, 2 %}{{ a }}{{ b }}|{% set (c, e) = 'xy' %}{{ c }}{{ e }}
{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]|{% set y | upper | replace('A', 'z') %}a{{ 1 }}b{% endset %}[{{ y }}]
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=9) }}{{ m(b=5, a=4) }}{{ m() }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(zz=2) }}
{% macro outer() %}<{{ caller('x') }}>{% endmacro %}{% call(v) outer() %}in {{ v }}{% endcall %}
{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}
{% macro fact(n) %}{{ n if n < 2 else n ~ '*' ~ fact(n - 1) }}{% endmacro %}{{ fact(5) }}
{% filter upper %}a{{ 'b' }}{% endfilter %}|{% filter trim | replace('b', 'c') %} ab {% endfilter %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}|{% raw %}{{ x }}{% endraw %}|{# c #}x{#- d -#} y
{% if 0 %}a{% elif '' %}b{% elif [] %}c{% elif none %}d{% else %}e{% endif %}|{% if undefined_name %}a{% else %}b{% endif %}
{% set ns = namespace(a=1, **{'b': 2}) %}{% set ns.c = [1] %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns.zz is defined }}
{% set ns = namespace({'a': 1}) %}{{ ns.a }}|{% set x = dict(a=1, b=2) %}{{ x }}{{ x.get('z') }}{{ x.get('z', 5) }}|{{ dict({'q': 1}) }}
{{ l.append(5) }}
{{ d.update({'x': 1}) }}
{{ d.pop('a') }}
{{ ''.__class__ }}
{{ d.keys() | list }}|{{ d.values() | list }}|{{ l.index(2) }}|{{ l.count(1) }}|{{ d.copy().a }}
{% set x = 5 %}{% set d.a = 1 %}
{{ 1 / 0 }}
{{ 'a' + 1 }}
{{ 'a' * 3 }}|{{ [1] * 2 }}|{{ 2 * 'ab' }}|{{ [1] + [2] }}|{{ (1,) + (2,) }}|{{ 'a' * -1 }}
{{ [1] + (2,) }}
{{ 5 | length }}
{{ none + 1 }}
{{ undefined_name() }}
{{ l() }}
{{ 'x' | nosuchfilter }}
{{ 1 is nosuchtest }}
{{ raise_exception('stop here') }}
{% if true %}unclosed
{{ 'a' }
{% for x in %}{% endfor %}
{% nosuch %}
{{ (1 }}
{{ 'a' | }}
{{ foo bar }}
{% set x = namespace %}{{ x(a=1).a }}|{{ (l | first) + 1 }}|{{ (d.b.d | join('-')).upper() }}|{{ l | map('string') | join | length }}
{% for i in l %}{% for j in l %}{{ loop.index }}{% if loop.last %};{% endif %}{% endfor %}{{ loop.index }} {% endfor %}
{% for i in l %}{{ loop.cycle('a', 'b') }}{% if loop.changed(i // 2) %}*{% endif %}{% endfor %}
{{ objs[0] }}|{{ objs[0].name ~ objs[1]['name'] }}|{{ objs[-1].g is none }}|{{ objs | map(attribute='sub.x') | list }}
{{ "%s" | format(d) }}|{{ [d.b.d, s] }}|{{ d.b }}
{{ 'a' is string and 'b' is string }}|{{ 'a' is defined and not undefined_name is defined }}|{{ not (1 is odd) }}|{{ 3 if 1 is odd else 4 }}
{{ l | map('multiply') | list }}
{{ ['a', 'b'] | map('replace', 'a', 'z') | list }}|{{ ['a'] | map('default', 'x') | list }}|{{ [none, 'a'] | map('string') | list }}
{{ (l | select('odd')) is iterable }}|{{ 'yes' if (l | select('gt', 100)) else 'no' }}|{{ 'yes' if (l | select('gt', 100) | list) else 'no' }}
{{ 'ÄÖÜß'.lower() }}|{{ 'straße'.upper() }}|{{ 'ǆ'.title() }}|{{ 'İ' | lower | length }}|{{ 'ΑΣ'.lower() }}
{{ '\u00a0x\u3000' | trim }}|{{ '\u00a0x\u3000y'.split() }}|{{ '\x1cx\x1f'.strip() }}
{{ true }}{{ True }}{{ false }}{{ none }}{{ None }}
{{ [1, 2, 3] | tojson | replace(' ', '') }}|{{ '<' ~ ({'a': '<b>'} | tojson) ~ '>' }}
{{ 10 // 3 * 3 + 10 % 3 }}|{{ 1 ~ 2 + 3 }}|{{ 1 + 2 ~ 3 }}|{{ '5' ~ 2 * 3 }}|{{ 2 - 3 - 4 }}|{{ 100 / 10 / 5 }}
{{ {'a': 1, 'a': 2} }}|{{ {'a': 1}['a'] }}|{{ {1: 'x'}[1] }}|{{ {1: 'x'}[true] }}|{{ [[1, 2], [3]][0][1] }}
{{ 9223372036854775807 }}|{{ -9223372036854775807 }}|{{ 1e308 * 10 }}|{{ -1e308 * 10 }}
{%- set a = ['x'] -%}{%- set a = a + ['y'] -%}{{ a | length }}{{ a }}
{% set items = [] %}{% set tmp = items.append(1) %}{{ items }}
{{ 'abc'[1] }}|{{ 'abc'[-4] }}|{{ 'abc'['x'] }}|{{ 5['x'] }}
{{ strftime_now('%d %b %Y, %H:%M:%S %A') }}
{{ 'a\nb' | indent(4, first=true) }}|{{ 'x{}'.format(1) }}
{{ '<' | safe + '"' + ('>' | safe) + '&' }}|{{ '<' + ('"' | escape) + '>' }}|{{ '<' ~ ('>' | safe) ~ '"' }}|{{ ('<' | escape) | escape }}|{{ '<' | escape | safe + '<' }}
{{ none | selectattr('a') | list }}|{{ none | map('upper') | list }}|{{ 0 | reject | list }}
{% for i in [1, 2] %}{% continue %}{% else %}no pass ended{% endfor %}|{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{% else %}no{% endfor %}|{% for i in [1] %}{% break %}{% else %}left{% endfor %}
{{ {'z': 1, 'a': {'y': 2, 'b': [{'x': 3, 'c': 4}]}} | tojson }}|{% for k in {'z': 1, 'a': 2} %}{{ k }}{% endfor %}|{{ {'z': 1, 'a': 2}.items() | list }}|{{ d | list }}
{{ d.get('a') }}|{{ d.get('nope') }}|{{ d.get('nope', []) }}|{{ d['nope'] is undefined }}|{{ d.nope.deeper }}
""".strip("\n").split("\n")

# Several lines each: white space control.
BLOCKS = [
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%- if true %}\n  b\n  {%- endif %}\nc\n\n",
    "a  {% if true %}b{% endif %}  \nc",
    "  {{ 1 }}\n  {# comment #}\n  {{ 2 }}\n",
    "x\n{%+ if true %}\n  y{% endif +%}\nz",
    "  {% set a = 1 %}\n\n  {% set b = 2 -%}\n   {{ a }}\n   {{- b }}\n",
    "{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\n",
    "{% for i in [1, 2] -%}\n  {{ i }}\n{%- endfor %}\nend",
    "\r\n{% if true %}\r\na\rb\r\n{% endif %}\r\n",
    "{% raw %}\n  {{ x }}\n{% endraw %}\nnext\n  {%- raw -%}  y  {%- endraw -%}  z",
    "text {% if true %}   \n  indented\n\t{% endif %}tail",
    "{%if true%}tight{%endif%}{{1}}{#x#}",
    "a {#- strip -#} b {# keep #} c\n{# line #}\nd",
    "{{ '{{' }} {{ '%}' }} {{ {'a': {'b': 1}}['a']['b'] }} {{ {'x': {}} }}",
    "{{\n  'multi'\n  ~\n  'line'\n}}\n",
    "{% generation %}\n  inside\n{% endgeneration %}\nafter",
    "}} %} #} { { { % {",
    "é\u3000\n\u3000{% if true %}x{% endif %}",
    "a\n{{ 1 -}}\n\n b {{- 2 }}\n\n",
    "{% macro m() %}\n  in\n{% endmacro %}\n[{{ m() }}]\n",
]
