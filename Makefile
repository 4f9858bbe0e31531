# keel's commands. Each does all of its own set-up. The libkeel of `demo` and `check` is built with cargo's dev profile
# (optimised, with assertions), that of `lib`, `install`, `bench-…` and `gpu-bundle` with its release profile.

PREFIX ?= /usr/local
BUNDLE_TORCH ?= link
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help demo check check-fast setup lib install bench-control bench-frames bench-bindings dist clean-root demo-godot docs reliability gpu-bundle clean

help:
	@echo "make demo        an innkeeper learns manners: the whole loop in one C++ program; writes target/demo/report.html"
	@echo "make check       everything CI does: format, lints, tests, docs, ABI gate, hosts, examples, install"
	@echo "make check-fast  format, lints and unit tests"
	@echo "make setup       system tools, and libtorch in target/libtorch (LIBTORCH=... takes yours)"
	@echo "make lib         target/release/libkeel.so"
	@echo "make install     to PREFIX=$(PREFIX), with a link to your libtorch; BUNDLE_TORCH=copy|none: a copy for all users, nothing"
	@echo "make bench-control   control policies beside Stable-Baselines3 and eager libtorch: docs/benchmarks.md"
	@echo "make bench-frames    60 frames a second beside a learner, about 10 minutes: docs/benchmarks.md; QUICK=1 tries it out"
	@echo "make reliability     ThreadSanitizer watches eight threads use keel at random, about 10 minutes: tools/races"
	@echo "make bench-bindings  what the Go and C# bindings add to a call: docs/benchmarks.md"
	@echo "make dist        archives and a Debian package for users without Rust, in target/dist; the Unity and NuGet packages"
	@echo "make clean-root  a new user's way, timed: the archive of make dist in fresh Debian roots, a first host in each language"
	@echo "make demo-godot  sixteen bees learn in Godot 4, in a chroot of Debian sid; writes target/demo/godot.png"
	@echo "make docs        the reference in target/doc: the crate (keel), keel.h and keel.hpp (c), Go (go), C# (csharp)"
	@echo "make gpu-bundle  target/gpu-bundle.tar.gz: the GPU tests, to run on a machine with a GPU and python3 with torch"
	@echo "make clean       removes what was built, keeps libtorch"

demo: setup
	cmake -S . -B target/cmake -DKEEL_CARGO_PROFILE=dev -DKEEL_BUILD_TESTS=OFF -DKEEL_BUILD_EXAMPLES=ON
	cmake --build target/cmake --parallel
	target/cmake/bin/npc

check:
	tools/check

check-fast:
	tools/check --fast

setup:
	tools/setup

lib: setup
	cargo build --locked --lib --release

install: setup
	cmake -S . -B target/cmake-release -DKEEL_CARGO_PROFILE=release -DCMAKE_INSTALL_PREFIX="$(PREFIX)" \
		-DKEEL_BUILD_TESTS=OFF -DKEEL_BUILD_EXAMPLES=OFF -DKEEL_BUNDLE_TORCH=$(BUNDLE_TORCH)
	cmake --build target/cmake-release
	cmake --install target/cmake-release

bench-control:
	tools/setup --mujoco
	cmake -S . -B target/cmake-bench -DKEEL_CARGO_PROFILE=release -DKEEL_BUILD_TESTS=OFF -DKEEL_BUILD_EXAMPLES=OFF \
		-DKEEL_BENCHES=control
	cmake --build target/cmake-bench --parallel
	benches/control/bench.py target/cmake-bench/bin/control_bench $(if $(PEERS_PYTHON),--python $(PEERS_PYTHON))

bench-frames: setup
	cmake -S . -B target/cmake-frames -DKEEL_CARGO_PROFILE=release -DKEEL_BUILD_TESTS=OFF -DKEEL_BUILD_EXAMPLES=OFF \
		-DKEEL_BENCHES=frames
	cmake --build target/cmake-frames --parallel
	benches/frames/bench.py target/cmake-frames/bin/frames_bench $(if $(QUICK),--quick)

reliability: setup
	tools/races

bench-bindings:
	tools/setup --tests
	cmake -S . -B target/cmake-release -DKEEL_CARGO_PROFILE=release -DCMAKE_INSTALL_PREFIX="$(CURDIR)/target/bench/prefix" \
		-DKEEL_BUILD_TESTS=OFF -DKEEL_BUILD_EXAMPLES=OFF -DKEEL_BUNDLE_TORCH=link
	cmake --build target/cmake-release
	cmake --install target/cmake-release
	benches/bindings/bench.py target/bench/prefix

dist: setup
	tools/dist

clean-root:
	tests/packages/clean-root

demo-godot: setup
	cmake -S . -B target/cmake -DKEEL_CARGO_PROFILE=dev -DKEEL_BUILD_TESTS=OFF -DKEEL_BUILD_EXAMPLES=OFF
	cmake --build target/cmake --parallel
	cmake --install target/cmake --prefix target/demo/prefix
	tools/godot target/demo/prefix

docs:
	tools/setup --tests
	tools/docs

gpu-bundle: setup
	tools/gpu-bundle

clean:
	rm -rf target/races target/cmake target/cmake-release target/cmake-gpu-release target/cmake-bench target/cmake-frames target/cmake-dist target/dist target/clean-root target/cuda-shim target/prefix target/go target/csharp target/lua target/godot target/guide target/bench target/check target/demo target/gpu-bundle target/gpu-bundle.tar.gz
	cargo clean --profile dev
	cargo clean --profile release
