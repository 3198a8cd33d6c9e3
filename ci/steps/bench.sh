#!/usr/bin/env bash
# Times artifacts against ONNX Runtime, OpenVINO and torch, in alternation, and writes docs/benchmarks.md,
# docs/benchmarks/<name>.{json,md,png} and README.md's figures.
#
#     ci/steps/bench.sh                        every table (most of an hour on two cores)
#     ci/steps/bench.sh NAME...                only these: resnet50 one-thread batch-8 zoo growth avx2 chip ablation
#     ci/steps/bench.sh MODEL... [OPTIONS]     one benchmark of your own: what `ovenbird bench` takes; writes nothing here
#
# WEIGHTS=FILE|random:SEED (default random:0: times do not depend on them). ROUNDS=5. PEERS=ort,openvino,ncnn,torch. $VENV (default .venv) must have the
# peers (ci/steps/setup.sh test). Nothing else should run on the machine meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
python=${VENV:-.venv}/bin/python
work=build/bench
weights=${WEIGHTS:-random:0}
rounds=${ROUNDS:-5}
peers=${PEERS:-ort,openvino,ncnn,torch}
ours= # our other engine, where there are two
small=(resnet50 mobilenet_v2 efficientnet_lite0 torchvision:mnasnet1_0 torchvision:shufflenet_v2_x1_0 vgg16)
zoo=(resnet18 mobilenet_v2 mobilenet_v3_small efficientnet_lite0 vgg16 densenet121 vit_b_16)

bench() { "$python" -m ovenbird bench "$@"; }

table() { # table NAME MODEL... [OPTIONS]
    local name=$1
    shift
    say "benchmark: $name"
    bench "$@" --peers "$ours$peers" --weights "$weights" --rounds "$rounds" --work "$work" --output "$work/$name.out" >/dev/null
    mkdir -p docs/benchmarks
    for kind in md json png; do
        cp "$work/$name.out/bench.$kind" "docs/benchmarks/$name.$kind"
    done
}

run() { # run NAME: false where NAME is no table of ours
    case $1 in
        resnet50) table resnet50 resnet50 --untuned --profile ;;
        one-thread) table one-thread resnet50 --threads 1 --untuned --no-footprint ;;
        batch-8) table batch-8 resnet50 --batch-sizes 8 --untuned --no-footprint ;;
        zoo) peers=ort,openvino table zoo "${zoo[@]}" --untuned --no-footprint ;;
        growth)
            peers=ort,openvino rounds=3 table growth resnet50 --batch-sizes 1,2,4,8,16 --threads 2,1 \
                --image-sizes 128,192,224,256,320,384,448 --no-footprint
            ;;
        avx2) # oneDNN, by which OpenVINO and torch compute, and torch's own code obey these; ONNX Runtime has no such switch
            ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 peers=openvino,torch-eager,torch-jit \
                table avx2 resnet50 --target x86-64-v3 --threads 2,1 --no-footprint
            ;;
        chip) # a page of this processor's own, next to those of others
            peers=ort,openvino,ncnn table "chip-$(slug_of_processor)" "${small[@]}" --threads 2,1 --no-footprint
            ;;
        ablation) ablation ;;
        *) return 1 ;;
    esac
}

# What each optimisation gains, on one thread; rows that docs/benchmarks/ablation.json has are kept.
ablation() {
    say "benchmark: ablation"
    mkdir -p "$work/ablation.out" docs/benchmarks
    [ ! -f docs/benchmarks/ablation.json ] || cp docs/benchmarks/ablation.json "$work/ablation.out/"
    bench resnet50 mobilenet_v2 torchvision:ssdlite320_mobilenet_v3_large vit_b_16 --ablation --threads 1 \
        --rounds "$rounds" --duration 0.5 --warmup 1 --weights "$weights" --work "$work" --output "$work/ablation.out" >/dev/null
    cp "$work/ablation.out/ablation.json" docs/benchmarks/
}

# Prints this processor's name as a file's: amd-epyc-family-25-model-1.
slug_of_processor() {
    "$python" -c 'from ovenbird.host.detection import cpu_name; print(cpu_name().lower())' | tr -cs 'a-z0-9\n' - | sed 's/-*$//'
}

tables=(resnet50 one-thread batch-8 zoo growth avx2 chip ablation)
[ $# -gt 0 ] || set -- resnet50 one-thread batch-8 zoo growth avx2
case " ${tables[*]} " in
    *" $1 "*) ;;
    *)
        bench "$@"
        exit
        ;;
esac
# tables compare the native engine with TVM's
if use_native_engine "$work/native"; then ours=ovenbird-tvm,; else say "artifacts run by TVM's engine alone"; fi
for name in "$@"; do
    run "$name" || fail "UnknownTable: '$name'; one of ${tables[*]}"
    "$python" ci/steps/benchmarks.py
done
