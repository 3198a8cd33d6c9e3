"""What every command of ours does alike: words, output, signals, advice."""
