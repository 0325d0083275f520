"""Evaluation: metrics, the official score, ceilings and intervals, reports and pictures.

    evaluate(agent, read_questions(path), out)

Metrics are pure functions in `eval.ranking`, `eval.text` and `eval.official`; nothing here trains or changes an agent.
"""
