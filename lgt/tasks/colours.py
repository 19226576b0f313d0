"""The colour of each shipped task: (shade on a light page, shade on a dark page).

They stand together because the tasks of a group must stay apart, also for colour-blind readers, and must be readable on
both themes (tested). A task of an extension gives its own pair of shades.
"""

REVERSE_ADD = ("#2F6FDE", "#5B94F5")
NO_CARRY = ("#A98512", "#F0C542")
CARRY_ONLY = ("#AD215F", "#E0527F")
REVERSE_SUBTRACT = ("#C8612F", "#F28A4B")
COT_MULTIPLY = ("#4E6410", "#C9DC86")
COPY_FIRST_OPERAND = ("#565B63", "#CDD1D9")
STRING_COPY = ("#1290D0", "#2FB4F5")
REVERSE = ("#9C1767", "#D74499")
CAPITALIZE = ("#B0780F", "#F2A33A")
CAPITALIZE_REVERSE = ("#2C51C6", "#7F8CFF")
MQAR = ("#CF4420", "#F4694F")
SHORTEST_PATH = ("#D0701C", "#FFB36B")
DFS_TRACE = ("#0B5F6B", "#2FA8A0")
