#!/usr/bin/env bash
# Compile the gRPC protocol's .proto files into the descriptor set that the server loads. Needs protoc
# (Debian: protobuf-compiler). With --check: only say whether the committed file is what the sources give.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh

folder=runtime/ovenbird_runtime/serve/grpc/protocol
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$folder"/*.proto "$work"
sed 's/^package grpc.reflection.v1;/package grpc.reflection.v1alpha;/' "$folder/reflection.proto" >"$work/reflection_v1alpha.proto"
(cd "$work" && protoc --descriptor_set_out=protocol.binpb inference.proto health.proto reflection.proto reflection_v1alpha.proto)
if [ "${1:-}" = --check ]; then
    cmp "$work/protocol.binpb" "$folder/protocol.binpb"
else
    cp "$work/protocol.binpb" "$folder/protocol.binpb"
fi
