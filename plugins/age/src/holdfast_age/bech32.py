"""Bech32 (BIP 173), in which age writes its keys, without the limit of 90 characters."""

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def encode(prefix: str, data: bytes) -> str:
    """Write bytes with a prefix in lowercase."""
    values = _regroup(data, 8, 5, pad=True)
    polymod = _polymod([*_expand(prefix), *values, *[0] * 6]) ^ 1
    checksum = [polymod >> 5 * (5 - number) & 31 for number in range(6)]
    return f"{prefix}1{''.join(_LETTERS[value] for value in [*values, *checksum])}"


def decode(text: str) -> tuple[str, bytes]:
    """Return the prefix in lowercase and the bytes; `ValueError` for anything that is not well-formed."""
    if text not in (text.lower(), text.upper()):
        raise ValueError("letters of both cases")
    prefix, mark, letters = text.lower().rpartition("1")
    if not (mark and prefix and len(letters) >= 6 and prefix.isascii() and set(letters) <= set(_LETTERS)):
        raise ValueError("not Bech32")
    values = [_LETTERS.index(letter) for letter in letters]
    if _polymod([*_expand(prefix), *values]) != 1:
        raise ValueError("its checksum is wrong")
    return prefix, bytes(_regroup(values[:-6], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check


def _regroup(values: bytes | list[int], before: int, after: int, *, pad: bool) -> list[int]:
    accumulator = bits = 0
    regrouped = []
    for value in values:
        accumulator = accumulator << before | value
        bits += before
        while bits >= after:
            bits -= after
            regrouped.append(accumulator >> bits)
            accumulator &= (1 << bits) - 1
    if pad and bits:
        regrouped.append(accumulator << after - bits)
    elif not pad and (bits >= before or accumulator):
        raise ValueError("bits are left over")
    return regrouped
