#include <benchmark/benchmark.h>

#include "crypto/adaptor.h"
#include "crypto/noise.h"
#include "crypto/sha256_many.h"
#include "crypto/vrf.h"
#include "util/random.h"

namespace sluice::crypto {
namespace {

SecretKey Key(uint8_t fill) {
    std::array<uint8_t, 32> bytes;
    bytes.fill(fill);
    return *SecretKey::FromBytes(bytes);
}
SecretBytes<32> Secret(uint8_t fill) {
    SecretBytes<32> secret;
    std::fill(secret.span().begin(), secret.span().end(), fill);
    return secret;
}
Bytes RandomBytes(size_t size) {
    Bytes bytes(size);
    SeededRandom(1).Fill(bytes);
    return bytes;
}
const Hash256 kMessage = Sha256Of(Bytes{1});

void SchnorrSign(benchmark::State& state) {
    const SecretKey key = Key(3);
    for (auto _ : state) benchmark::DoNotOptimize(key.Sign(kMessage));
}
BENCHMARK(SchnorrSign);

void SchnorrVerify(benchmark::State& state) {
    const SecretKey key = Key(3);
    const XOnlyPubKey public_key = key.XOnly();
    const SchnorrSignature signature = key.Sign(kMessage);
    for (auto _ : state) benchmark::DoNotOptimize(VerifySchnorr(public_key, kMessage, signature));
}
BENCHMARK(SchnorrVerify);

void TapTweakCheck(benchmark::State& state) {
    const auto output = *TapTweak(kNumsKey, kMessage);
    for (auto _ : state) benchmark::DoNotOptimize(CheckTapTweak(output.key, output.odd_y, kNumsKey, kMessage));
}
BENCHMARK(TapTweakCheck);

void AdaptorSigning(benchmark::State& state) {
    const SecretKey key = Key(3);
    const PubKey point = Key(5).Public();
    for (auto _ : state) benchmark::DoNotOptimize(AdaptorSign(key, kMessage, point));
}
BENCHMARK(AdaptorSigning)->Name("AdaptorSign");

void AdaptorVerifying(benchmark::State& state) {
    const XOnlyPubKey signer = Key(3).XOnly();
    const PubKey point = Key(5).Public();
    const auto pre = *AdaptorSign(Key(3), kMessage, point);
    for (auto _ : state) benchmark::DoNotOptimize(AdaptorVerify(signer, kMessage, point, pre));
}
BENCHMARK(AdaptorVerifying)->Name("AdaptorVerify");

void AdaptorCompleting(benchmark::State& state) {
    const SecretKey secret = Key(5);
    const auto pre = *AdaptorSign(Key(3), kMessage, secret.Public());
    for (auto _ : state) benchmark::DoNotOptimize(AdaptorComplete(pre, secret));
}
BENCHMARK(AdaptorCompleting)->Name("AdaptorComplete");

void AdaptorExtracting(benchmark::State& state) {
    const SecretKey secret = Key(5);
    const PubKey point = secret.Public();
    const auto pre = *AdaptorSign(Key(3), kMessage, point);
    const auto signature = *AdaptorComplete(pre, secret);
    for (auto _ : state) benchmark::DoNotOptimize(AdaptorExtract(pre, signature, point));
}
BENCHMARK(AdaptorExtracting)->Name("AdaptorExtract");

void VrfProving(benchmark::State& state) {
    const VrfSecretKey secret = Secret(1);
    const Bytes alpha = RandomBytes(51);
    for (auto _ : state) benchmark::DoNotOptimize(VrfProve(secret, alpha));
}
BENCHMARK(VrfProving)->Name("VrfProve");

void VrfVerifying(benchmark::State& state) {
    const VrfPublicKey key = VrfPublic(Secret(1));
    const Bytes alpha = RandomBytes(51);
    const VrfProof proof = VrfProve(Secret(1), alpha);
    for (auto _ : state) benchmark::DoNotOptimize(VrfVerify(key, alpha, proof));
}
BENCHMARK(VrfVerifying)->Name("VrfVerify");

void Sha256Bytes(benchmark::State& state) {
    const Bytes bytes = RandomBytes(static_cast<size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(Sha256Of(bytes));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(Sha256Bytes)->Name("Sha256")->Arg(16 << 10)->Arg(1 << 20);

// The sixteen leaves of a chunk.
void Sha256OfLeaves(benchmark::State& state) {
    const auto way = static_cast<Sha256Way>(state.range(0));
    if (!HasSha256Way(way)) return state.SkipWithError("this CPU has no such instructions");
    const Bytes bytes = RandomBytes(256 << 10);
    std::vector<ByteSpan> leaves;
    for (size_t at = 0; at < bytes.size(); at += 16 << 10) leaves.push_back(ByteSpan(bytes).subspan(at, 16 << 10));
    std::vector<Hash256> hashes(leaves.size());
    for (auto _ : state) {
        Sha256Many(way, leaves, hashes);
        benchmark::DoNotOptimize(hashes.data());
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(Sha256OfLeaves)->Name("Sha256Many/16_leaves")->ArgName("way")->Arg(0)->Arg(1)->Arg(2);

void Sha256OfPair(benchmark::State& state) {
    Hash256 hash = kMessage;
    for (auto _ : state) hash = Sha256Pair(hash, kMessage);
    benchmark::DoNotOptimize(hash);
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * 64);
}
BENCHMARK(Sha256OfPair)->Name("Sha256Pair");

void AeadSeal(benchmark::State& state) {
    Aead aead(Secret(1));
    Bytes buffer = RandomBytes(static_cast<size_t>(state.range(0)));
    const size_t plain_bytes = buffer.size() - kAeadTagBytes;
    uint64_t counter = 0;
    for (auto _ : state) {
        aead.Seal(CounterNonce(counter++), {}, ByteSpan(buffer).first(plain_bytes), buffer);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(AeadSeal)->Arg(16 << 10)->Arg(256 << 10);

void AeadOpen(benchmark::State& state) {
    Aead aead(Secret(1));
    const Bytes plain = RandomBytes(static_cast<size_t>(state.range(0)) - kAeadTagBytes);
    Bytes sealed(plain.size() + kAeadTagBytes), out(plain.size());
    aead.Seal(CounterNonce(1), {}, plain, sealed);
    for (auto _ : state) {
        if (!aead.Open(CounterNonce(1), {}, sealed, out)) state.SkipWithError("the tag is false");
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(AeadOpen)->Arg(16 << 10)->Arg(256 << 10);

void NoiseHandshakeBoth(benchmark::State& state) {
    for (auto _ : state) {
        NoiseHandshake a(true, {}, Secret(1), Secret(2)), b(false, {}, Secret(3), Secret(4));
        benchmark::DoNotOptimize(b.Read(a.Write({})));
        benchmark::DoNotOptimize(a.Read(b.Write({})));
        benchmark::DoNotOptimize(b.Read(a.Write({})));
    }
}
BENCHMARK(NoiseHandshakeBoth)->Name("NoiseHandshake/both_sides");

}  // namespace
}  // namespace sluice::crypto
