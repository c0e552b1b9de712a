from r1jax.data.world.general import number_word


def test_number_words_are_those_of_both_languages():
    pairs = {0: ("zero", "零"), 10: ("ten", "十"), 14: ("fourteen", "十四")}
    pairs |= {20: ("twenty", "二十"), 47: ("forty-seven", "四十七"), 90: ("ninety", "九十")}
    for n, (english, chinese) in pairs.items():
        assert number_word(n, "en") == english and number_word(n, "zh") == chinese
    assert len({number_word(n, "zh") for n in range(100)}) == 100
