"""Text of the synthetic world that never reasons: copying, sorting, facts, number words.

It is there because a web is not all mathematics, and because later stages must not forget it.
"""

import random

FACTS = [
    ("color of grass", "green", "草的颜色", "绿"),
    ("color of snow", "white", "雪的颜色", "白"),
    ("color of coal", "black", "煤的颜色", "黑"),
    ("color of blood", "red", "血的颜色", "红"),
    ("color of sky", "blue", "天空的颜色", "蓝"),
    ("color of lemon", "yellow", "柠檬的颜色", "黄"),
    ("legs of dog", "4", "狗的腿", "4"),
    ("legs of hen", "2", "鸡的腿", "2"),
    ("legs of ant", "6", "蚂蚁的腿", "6"),
    ("legs of spider", "8", "蜘蛛的腿", "8"),
    ("days in week", "7", "一周的天", "7"),
    ("months in year", "12", "一年的月", "12"),
    ("hours in day", "24", "一天的小时", "24"),
    ("capital of China", "Beijing", "中国的首都", "北京"),
    ("capital of Japan", "Tokyo", "日本的首都", "东京"),
    ("capital of France", "Paris", "法国的首都", "巴黎"),
    ("capital of Egypt", "Cairo", "埃及的首都", "开罗"),
    ("opposite of hot", "cold", "热的反面", "冷"),
    ("opposite of big", "small", "大的反面", "小"),
    ("opposite of day", "night", "白天的反面", "黑夜"),
]
_VOCABULARY = """ant bee cat dog eel fox goat hen ink jar key lamp moon nest oak pen queen rose
    sun tree urn van web yak zoo"""
VOCABULARY = _VOCABULARY.split()
_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen"""
UNITS = _UNITS.split()
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
HAN = "零一二三四五六七八九"


def number_word(n: int, language: str) -> str:
    """The words for 0 <= n <= 99: "forty-seven", 四十七."""
    if language == "en":
        return UNITS[n] if n < 20 else TENS[n // 10 - 2] + (f"-{UNITS[n % 10]}" if n % 10 else "")
    tens = ("" if n < 20 else HAN[n // 10]) + "十" if n >= 10 else ""
    return tens + (HAN[n % 10] if n % 10 or n == 0 else "")


def general(rng: random.Random, language: str) -> tuple[str, str]:
    """A question and its answer, "en" or "zh"."""
    kind = rng.choice(("copy", "sort", "fact", "translate"))
    if kind in ("copy", "sort"):
        words = rng.sample(VOCABULARY, rng.randint(2, 5))
        ask = {
            "en": {"copy": "copy: ", "sort": "sort: "},
            "zh": {"copy": "抄写：", "sort": "排序："},
        }[language][kind]
        return ask + " ".join(words), " ".join(sorted(words) if kind == "sort" else words)
    if kind == "fact":
        fact = rng.choice(FACTS)
        return (f"{fact[0]}?", fact[1]) if language == "en" else (f"{fact[2]}？", fact[3])
    n = rng.randint(0, 99)
    if language == "en":
        return f"in Chinese: {number_word(n, 'en')}", number_word(n, "zh")
    return f"译成英文：{number_word(n, 'zh')}", number_word(n, "en")
