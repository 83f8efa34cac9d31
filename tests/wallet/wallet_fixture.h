#pragma once

#include "consensus/ledger_fixture.h"
#include "storage/memory_disk.h"
#include "wallet/wallet.h"

// A chain in memory, a seller on it, and wallets that follow it.

namespace sluice::wallet::testing {

namespace ct = consensus::testing;
using ct::Slu;

inline Amount operator+(Amount a, Amount b) { return Amount(a.drops + b.drops); }
inline Amount operator-(Amount a, Amount b) { return Amount(a.drops - b.drops); }

class World {
  public:
    World() {
        genesis.transactions.push_back(
            MakeTransaction(consensus::MakeCoinbase(Height(0), Amount(0), ct::KeyScript(0))));
        blocks.push_back(genesis);
        deltas.emplace_back();
    }

    WalletNetwork Network() const { return {ledger.params, genesis.header.Hash(), {}}; }
    WalletLookups Lookups() {
        return {[this](const OutPoint& outpoint) -> std::optional<WalletLookups::Publish> {
                    const auto publish = ledger.state.Get<consensus::PublishState>(outpoint);
                    if (!publish) return std::nullopt;
                    return WalletLookups::Publish{publish->claim, publish->Decoded()};
                },
                [this](const StakerId& staker) { return ledger.state.Get<consensus::StakerState>(staker); },
                [this] { return ledger.Next().slot; },
                [this](const consensus::Coin& coin, Epoch epoch) {
                    return consensus::AccruedReward(ledger.params, ledger.state, coin, epoch);
                },
                [this](const PubKey& key) -> std::optional<ClaimId> {
                    const auto found = key_owners.find(key);
                    if (found == key_owners.end()) return std::nullopt;
                    return found->second;
                }};
    }

    // The next block of `txs`, which must be valid.
    const Block& Mine(const std::vector<TransactionRef>& txs = {}) {
        for (const TransactionRef& tx : txs) ledger.Know(tx);
        Block block = ledger.MakeBlock(txs);
        block.header.prev = blocks.back().header.Hash();
        const auto delta = ledger.Try(block);
        CHECK(delta.has_value());
        ledger.state.Apply(*delta);
        ledger.height = block.header.height;
        ledger.slot = block.header.slot;
        ledger.ExpectConserved();
        deltas.push_back(*delta);
        blocks.push_back(std::move(block));
        return blocks.back();
    }
    Block Unmine() {
        Block block = blocks.back();
        ledger.state.Undo(deltas.back());
        blocks.pop_back();
        deltas.pop_back();
        ledger.height = ledger.height - 1;
        ledger.slot = ledger.slot - 2;
        return block;
    }
    // Valid as part of the next block, and as the wallet says about the money in it.
    void ExpectValid(const BuiltTransaction& built) {
        const auto effect = ledger.Try(ledger.Know(built.tx));
        ASSERT_TRUE(effect.has_value()) << effect.error().ToString();
        EXPECT_EQ(effect->fee, built.fee);
        EXPECT_EQ(effect->burned, built.burned);
        EXPECT_EQ(effect->accrued, built.accrued);
    }

    TransactionRef Pay(const Script& script, Amount amount) {
        return ledger.Sign(ledger.Build({ledger.Fund(amount + Slu(1))}, {{amount, script}}));
    }

    PublishRecord Film() const {
        PublishRecord record = ct::ExamplePublish();
        record.unseal_key = crypto::X25519Public(unseal);
        return record;
    }
    OutPoint PublishFilm() {
        const auto tx = ledger.Publish(Film(), ledger.Fund(Slu(10)));
        Mine({tx});
        return tx->Output(1);
    }

    // What a seller does: opens the annex, completes the signature with k, signs.
    TransactionRef Grant(const BuiltPurchase& purchase, const crypto::SecretKey& buyer_view) {
        const Bytes annex = *consensus::FindAnnex(purchase.built.tx->inputs()[0].witness);
        const auto opened = crypto::OpenBox(unseal, ByteSpan(annex).subspan(1));
        CHECK(opened.has_value());
        const auto pre_signature = *Decode<crypto::AdaptorSignature>(*opened);
        EXPECT_EQ(pre_signature, purchase.pre_signature);
        const auto lock =
            *consensus::MakeLockTemplate(buyer_view.XOnly(), purchase.terms.seller_key, purchase.refund_height);
        const TxOutput locked = purchase.built.tx->outputs()[purchase.lock.index];
        const auto sighash = consensus::SingleOutputSighash(purchase.lock, locked, lock,
                                                            {purchase.terms.price, purchase.terms.payout_script});
        EXPECT_TRUE(crypto::AdaptorVerify(buyer_view.XOnly(), sighash, purchase.terms.key, pre_signature));
        return GrantWith(purchase, lock, *crypto::AdaptorComplete(pre_signature, ct::TestKey(ct::kTitleKey)));
    }
    TransactionRef GrantWith(const BuiltPurchase& purchase, const consensus::LockTemplate& lock,
                             const SchnorrSignature& owner) {
        const TxOutput locked = purchase.built.tx->outputs()[purchase.lock.index];
        const ct::Lock at{purchase.lock, locked, lock, 0, ct::kSellerKey, purchase.refund_height};
        MutableTransaction tx = ledger.BuildGrant(at, purchase.terms.price, ledger.Fund(Slu(1)));
        const consensus::SpendingTransaction spending(tx, ledger.Spent(tx));
        const auto payee = ct::TestKey(ct::kSellerKey)
                               .Sign(*spending.SignatureHash(0, consensus::kSighashDefault,
                                                             consensus::ScriptPathData{lock.pay_leaf_hash}));
        tx.inputs[0].witness = consensus::PayWitness(lock, owner, payee);
        return ledger.Sign(std::move(tx));
    }

    ct::Ledger ledger;
    Block genesis;
    std::vector<Block> blocks;
    std::vector<consensus::StateDelta> deltas;
    std::map<PubKey, ClaimId> key_owners;
    crypto::X25519SecretKey unseal{std::array<uint8_t, 32>{1, 2, 3}};
};

inline constexpr std::string_view kPhrase =
    "legal winner thank year wave sausage worth useful legal winner thank yellow";

class WalletTest : public ::testing::Test {
  protected:
    WalletTest() { wallet = Open(store); }

    std::unique_ptr<Wallet> Open(std::unique_ptr<storage::KeyValueStore>& kept) {
        kept = *disk.files().OpenKeyValue("/wallet" + std::to_string(m_opened++), 1 << 20);
        auto restored = *Wallet::Restore(*kept, world.Network(), world.Lookups(), random, kPhrase, {}, kMinGapLimit);
        for (const Block& block : world.blocks) EXPECT_TRUE(restored->ConnectBlock(block).has_value());
        return restored;
    }
    void Mine(const std::vector<TransactionRef>& txs = {}) {
        ASSERT_TRUE(wallet->ConnectBlock(world.Mine(txs)).has_value());
    }
    void MineTo(Height next) {
        while (world.ledger.next_height() < next) Mine();
    }
    void Unmine() { ASSERT_TRUE(wallet->DisconnectBlock(world.Unmine()).has_value()); }
    void Receive(Amount amount) { Mine({world.Pay(*wallet->NewReceiveScript(), amount)}); }
    // Commits and mines; checks that what the wallet had is what it has and what it gave away.
    void CommitAndMine(const BuiltTransaction& built, Amount given) {
        const Amount before = wallet->GetBalances().total;
        world.ExpectValid(built);
        ASSERT_TRUE(wallet->Commit(built).has_value());
        EXPECT_EQ(wallet->GetBalances().total, before - given - built.fee - built.burned);
        Mine({built.tx});
        EXPECT_EQ(wallet->GetBalances().total, before - given - built.fee - built.burned);
    }

    World world;
    SeededRandom random{5};
    storage::MemoryDisk disk{11};
    std::unique_ptr<storage::KeyValueStore> store;
    std::unique_ptr<Wallet> wallet;

  private:
    int m_opened{0};
};

}  // namespace sluice::wallet::testing
