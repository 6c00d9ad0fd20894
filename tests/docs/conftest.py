import soundfile

from tests.train.sounds import CLASSES, RATE, sound


def write_esc50(folder):
    """Five folds of three clips of each class, in ESC-50's layout."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for number, label in enumerate(CLASSES):
            for take in range(3):
                source = 100 * fold + 10 * number + take
                name = f"{fold}-{source}-A-{number}.wav"
                soundfile.write(folder / "audio" / name, sound(label, source), RATE)
                rows.append(f"{name},{fold},{number},{label},False,{source},A")
    (folder / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
