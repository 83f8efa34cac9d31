#include "crypto/adaptor.h"
#include "crypto/edwards25519.h"
#include "crypto/noise.h"
#include "crypto/vrf.h"
#include "fuzz.h"

namespace sluice::fuzz {
namespace {

using namespace crypto;

SecretBytes<32> Secret(uint8_t fill) {
    SecretBytes<32> secret;
    std::fill(secret.span().begin(), secret.span().end(), fill);
    return secret;
}
SecretKey Key(uint8_t fill) {
    std::array<uint8_t, 32> bytes;
    bytes.fill(fill);
    return *SecretKey::FromBytes(bytes);
}

// ---- VRF proofs: under one key and message only one output is ever accepted

void RunVrf(ByteSpan bytes) {
    static const VrfPublicKey public_key = VrfPublic(Secret(1));
    static const Bytes alpha = {1, 2, 3};
    static const auto truth = VrfVerify(public_key, alpha, VrfProve(Secret(1), alpha));
    Input input(bytes);
    const VrfProof proof(input.Array<80>());
    const auto unverified = VrfProofToHash(proof);
    const auto output = VrfVerify(public_key, alpha, proof);
    if (output) {
        CHECK(output == truth && unverified == output);
        NoteAccepted();
    }
    const VrfPublicKey other(input.Array<32>());
    const bool valid = VrfKeyIsValid(other);
    if (!valid) CHECK(!VrfVerify(other, alpha, proof));
    if (const auto point = EdwardsPoint::Decode(other.bytes)) CHECK(point->Encode() == other.bytes);
}
std::vector<Seed> VrfSeeds() {
    return {{"proof", Output().Raw(VrfProve(Secret(1), Bytes{1, 2, 3}).bytes).Raw(VrfPublic(Secret(2)).bytes).Take()}};
}
const Register kVrf{{"vrf", RunVrf, VrfSeeds, 160}};

// ---- adaptor signatures: what verifies completes to a valid signature that gives the secret back

void RunAdaptor(ByteSpan bytes) {
    static const SecretKey signer = Key(3), secret = Key(5);
    static const Hash256 message = Sha256Of(Bytes{1});
    Input input(bytes);
    AdaptorSignature pre;
    pre.nonce_x = input.Array<32>();
    pre.s = input.Array<32>();
    const PubKey point(input.Array<33>());
    const bool valid = AdaptorVerify(signer.XOnly(), message, point, pre);
    const auto completed = AdaptorComplete(pre, secret);
    if (valid && point == secret.Public()) {
        CHECK(completed && VerifySchnorr(signer.XOnly(), message, *completed));
        const auto extracted = AdaptorExtract(pre, *completed, point);
        CHECK(extracted && ToBytes(extracted->bytes()) == ToBytes(secret.bytes()));
        NoteAccepted();
    }
    const SchnorrSignature signature(input.Array<64>());
    if (const auto extracted = AdaptorExtract(pre, signature, point)) CHECK(extracted->Public() == point);
    (void)VerifySchnorr(ToXOnly(point), message, signature);
    (void)IsValidPubKey(point);
}
std::vector<Seed> AdaptorSeeds() {
    const Hash256 message = Sha256Of(Bytes{1});
    const auto pre = *AdaptorSign(Key(3), message, Key(5).Public());
    const auto signature = *AdaptorComplete(pre, Key(5));
    return {
        {"pre-signature", Output().Raw(pre.nonce_x).Raw(pre.s).Raw(Key(5).Public().bytes).Raw(signature.bytes).Take()}};
}
const Register kAdaptor{{"adaptor", RunAdaptor, AdaptorSeeds, 256}};

// ---- noise: a responder and an initiator that read hostile messages

constexpr size_t kHello = 32, kAnswer = 96, kLast = 64;

void RunNoise(ByteSpan bytes) {
    Input input(bytes);
    const Bytes prologue = {7};
    if (input.Flag()) {
        NoiseHandshake responder(false, prologue, Secret(1), Secret(2));
        if (!responder.Read(input.Take(kHello))) return;
        (void)responder.Write({});
        if (!responder.Read(input.Take(kLast))) return;
        CHECK(responder.Done());
        CHECK(responder.remote_static() == X25519Public(Secret(3)));  // only the seed's initiator knows how to answer
        NoteAccepted();
        auto ciphers = responder.Split();
        const ByteSpan sealed = input.Rest();
        if (sealed.size() < kAeadTagBytes) return;
        Bytes plain(sealed.size() - kAeadTagBytes);
        (void)ciphers.receive.Decrypt({}, sealed, plain);
    } else {
        NoiseHandshake initiator(true, prologue, Secret(3), Secret(4));
        (void)initiator.Write({});
        if (!initiator.Read(input.Take(kAnswer))) return;
        (void)initiator.Write({});
        CHECK(initiator.Done());
        CHECK(initiator.remote_static() == X25519Public(Secret(1)));
        NoteAccepted();
    }
}
std::vector<Seed> NoiseSeeds() {
    const Bytes prologue = {7};
    NoiseHandshake initiator(true, prologue, Secret(3), Secret(4)), responder(false, prologue, Secret(1), Secret(2));
    const Bytes hello = initiator.Write({});
    CHECK(responder.Read(hello).has_value());
    const Bytes answer = responder.Write({});
    CHECK(initiator.Read(answer).has_value());
    const Bytes last = initiator.Write({});
    Bytes sealed(20 + kAeadTagBytes);
    initiator.Split().send.Encrypt({}, Bytes(20, 1), sealed);
    return {{"to-responder", Output().Integer(uint8_t{1}).Raw(hello).Raw(last).Raw(sealed).Take()},
            {"to-initiator", Output().Integer(uint8_t{0}).Raw(answer).Take()}};
}
const Register kNoise{{"noise", RunNoise, NoiseSeeds, 512}};

// ---- sealed boxes

void RunSealedBox(ByteSpan input) {
    const auto opened = OpenBox(Secret(1), input);
    if (!opened) return;
    CHECK(opened->size() + kSealedBoxOverheadBytes == input.size());
    NoteAccepted();
}
std::vector<Seed> SealedBoxSeeds() { return {{"box", SealBox(X25519Public(Secret(1)), Bytes(64, 9), Secret(2))}}; }
const Register kSealedBox{{"sealed_box", RunSealedBox, SealedBoxSeeds, 256}};

}  // namespace
}  // namespace sluice::fuzz
