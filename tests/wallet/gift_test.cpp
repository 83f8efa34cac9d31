#include "primitives/address.h"
#include "wallet/wallet_fixture.h"

namespace sluice::wallet::testing {
namespace {

constexpr const char* kFriendPhrase = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";
constexpr const char* kStrangerPhrase =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

class GiftTest : public WalletTest {
  protected:
    struct Other {
        std::unique_ptr<storage::KeyValueStore> store;
        std::unique_ptr<Wallet> wallet;
    };
    // A wallet that has scanned the whole chain.
    Other Restored(const char* phrase) {
        Other other;
        other.store = *disk.files().OpenKeyValue("/other" + std::to_string(m_others++), 1 << 20);
        other.wallet = *Wallet::Restore(*other.store, world.Network(), world.Lookups(), random, phrase);
        for (const Block& block : world.blocks) CHECK(other.wallet->ConnectBlock(block).has_value());
        return other;
    }
    BuiltPurchase Granted(const OutPoint& film) {
        auto bought = wallet->BuildPurchase({film});
        CHECK(bought.has_value());
        CommitAndMine(bought->built, Amount(0));
        Mine({world.Grant(*bought, wallet->BuyerKey(wallet->Purchases().at(bought->lock)))});
        return std::move(*bought);
    }
    int m_others{0};
};

TEST_F(GiftTest, TheRecipientFindsTheKeyWithThePhraseAndTheChainAndNobodyElseDoes) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(50));
    const BuiltPurchase bought = Granted(film);
    const crypto::X25519PublicKey address = Restored(kFriendPhrase).wallet->GiftKey();
    const auto gift = wallet->BuildGift(bought.lock, address);
    ASSERT_TRUE(gift.has_value()) << gift.error().message;
    world.ExpectValid(*gift);
    CommitAndMine(*gift, Amount(0));
    ASSERT_EQ(wallet->GiftsGiven().size(), 1u);
    EXPECT_EQ(wallet->GiftsGiven()[0].first, bought.lock);

    const Other recipient = Restored(kFriendPhrase);
    ASSERT_EQ(recipient.wallet->Gifts().size(), 1u);
    const OwnGift& received = recipient.wallet->Gifts().begin()->second;
    EXPECT_EQ(received.purchase, bought.lock);
    EXPECT_EQ(received.point, ct::TestKey(ct::kTitleKey).Public());
    EXPECT_EQ(crypto::SecretKey::FromBytes(received.key.bytes)->Public(), received.point);
    EXPECT_TRUE(Restored(kStrangerPhrase).wallet->Gifts().empty());
    EXPECT_TRUE(wallet->Gifts().empty());

    const auto loaded = *Wallet::Load(*recipient.store, world.Network(), world.Lookups(), random);
    EXPECT_EQ(loaded->Gifts().size(), 1u);
    // A reorganisation takes it away.
    ASSERT_TRUE(recipient.wallet->DisconnectBlock(world.blocks.back()).has_value());
    EXPECT_TRUE(recipient.wallet->Gifts().empty());
}

// [a forged gift: another key is passed on as the one that the purchase was for]
TEST_F(GiftTest, AForgedGiftHasAnotherPointThanItsPurchase) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(50));
    const BuiltPurchase bought = Granted(film);
    const crypto::X25519PublicKey address = Restored(kFriendPhrase).wallet->GiftKey();
    crypto::X25519SecretKey ephemeral;
    const auto sealed = SealedGift::FromBytes(crypto::SealBox(address, ct::TestKey(33).bytes(), ephemeral));
    const auto junk = SealedGift::FromBytes(crypto::SealBox(address, Bytes(32, 0xff), ephemeral));  // no scalar
    Mine({world.ledger.Sign(
        world.ledger.Build({world.ledger.Fund(Slu(1))}, {ct::Ledger::RecordOutput(GiftRecord{bought.lock, *sealed}),
                                                         ct::Ledger::RecordOutput(GiftRecord{bought.lock, *junk})}))});
    const Other recipient = Restored(kFriendPhrase);
    ASSERT_EQ(recipient.wallet->Gifts().size(), 1u);
    EXPECT_NE(recipient.wallet->Gifts().begin()->second.point, ct::TestKey(ct::kTitleKey).Public());
}

TEST_F(GiftTest, ForWhomAPurchaseIsSurvivesARestartAndANewScan) {
    wallet = Open(store);
    const OutPoint first_input{Txid{}, 3};
    crypto::X25519PublicKey recipient;
    recipient.bytes[3] = 9;
    ASSERT_TRUE(wallet->IntendGift(first_input, recipient).has_value());
    ASSERT_TRUE(wallet->NoteGiftSent(first_input, Txid{}).has_value());
    ASSERT_TRUE(wallet->RestartScan().has_value());
    ASSERT_EQ(wallet->GiftIntents().count(first_input), 1u);
    EXPECT_EQ(wallet->GiftIntents().at(first_input).recipient, recipient);
    EXPECT_TRUE(wallet->GiftIntents().at(first_input).sent.has_value());
}

// A gift that was never sent frees its coin: the next purchase with it is not given away.
TEST_F(GiftTest, AnIntentThatCameToNothingIsForgottenForGood) {
    wallet = Open(store);
    const OutPoint first_input{Txid{}, 3};
    ASSERT_TRUE(wallet->IntendGift(first_input, {}).has_value());
    ASSERT_TRUE(wallet->ForgetGiftIntent(first_input).has_value());
    EXPECT_TRUE(wallet->GiftIntents().empty());
    ASSERT_TRUE(wallet->ForgetGiftIntent(first_input).has_value());
    wallet.reset();
    EXPECT_TRUE(Open(store)->GiftIntents().empty());
}

TEST_F(GiftTest, OnlyAGrantedPurchaseIsGiven) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(50));
    const auto bought = wallet->BuildPurchase({film});
    ASSERT_TRUE(bought.has_value());
    CommitAndMine(bought->built, Amount(0));
    EXPECT_EQ(wallet->BuildGift(bought->lock, wallet->GiftKey()).error().kind, ErrorKind::kUnavailable);
    EXPECT_EQ(wallet->BuildGift(OutPoint{}, wallet->GiftKey()).error().kind, ErrorKind::kNotFound);
}

TEST(GiftAddress, IsReadBackOnItsOwnNetworkAndIsNoAddressOfMoney) {
    crypto::X25519PublicKey key;
    for (size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<uint8_t>(i * 5);
    const std::string address = EncodeGiftAddress(key, "slu");
    EXPECT_TRUE(address.starts_with("slugift1"));
    EXPECT_EQ(DecodeGiftAddress(address, "slu").value(), key);
    EXPECT_NE(DecodeGiftAddress(address, "tslu").error().message.find("no gift address of this network"),
              std::string::npos);
    EXPECT_FALSE(DecodeAddress(address, "slu"));
    EXPECT_FALSE(DecodeGiftAddress(EncodeAddress(ct::KeyScript(1), "slu"), "slu"));
    std::string typo = address;
    typo[20] = typo[20] == 'q' ? 'p' : 'q';
    EXPECT_NE(DecodeGiftAddress(typo, "slu").error().message.find("mistyped"), std::string::npos);
    EXPECT_FALSE(DecodeGiftAddress(Bech32mEncode("slugift", std::vector<uint8_t>(51, 1)), "slu"));
    EXPECT_FALSE(DecodeGiftAddress("", "slu"));
}

}  // namespace
}  // namespace sluice::wallet::testing
