"""The web application: REST, server-sent events, OpenAI-compatible routes and MCP over one agent; needs `[serve]`.

`kbqa_agent.server` is its public face.
"""
