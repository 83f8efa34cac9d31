#include "node/gift_agent.h"

#include "util/log.h"

namespace sluice::node {

void GiftAgent::Run() {
    if (!m_wallet.Exists() || m_chain.Syncing()) return;
    const auto wallet = m_wallet.Get();
    const auto intents = (*wallet)->GiftIntents();
    if (intents.empty()) return;
    std::vector<std::pair<OutPoint, OutPoint>> due;  // first input, lock
    for (const auto& [lock, purchase] : (*wallet)->Purchases()) {
        if (purchase.status != wallet::PurchaseStatus::kGranted) continue;
        const auto intent = intents.find(purchase.first_input);
        if (intent == intents.end()) continue;
        if (intent->second.sent && (*wallet)->FindTransaction(*intent->second.sent)) continue;
        due.emplace_back(purchase.first_input, lock);
    }
    if (due.empty()) return;
    std::map<OutPoint, Txid> given;  // whatever was noted of it
    for (const auto& [purchase, txid] : (*wallet)->GiftsGiven()) given.emplace(purchase, txid);
    for (const auto& [first_input, lock] : due) {
        if (const auto sent = given.find(lock); sent != given.end()) {
            const Status noted = (*wallet)->NoteGiftSent(first_input, sent->second);
            if (!noted) LogError("sale", "{}", noted.error().message);
            continue;
        }
        // The grant in a block first: what a mempool says may still change.
        const auto grant = m_chain.chain().indexes().FindGrant(lock);
        if (!grant || !*grant) continue;
        const auto sent = Send(lock, intents.at(first_input).recipient);
        if (!sent) LogWarning("sale", "the gift of {} waits: {}", lock.ToString(), sent.error().message);
    }
}

Result<Txid> GiftAgent::Send(const OutPoint& lock, const crypto::X25519PublicKey& recipient) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    const auto purchase = wallet->Purchases().find(lock);
    if (purchase == wallet->Purchases().end())
        return Fail(ErrorKind::kNotFound, "the purchase " + lock.ToString() + " is not of this wallet");
    const OutPoint first_input = purchase->second.first_input;
    ASSIGN_OR_RETURN(const wallet::BuiltTransaction built, wallet->BuildGift(lock, recipient));
    RETURN_IF_ERROR(wallet->IntendGift(first_input, recipient));
    ASSIGN_OR_RETURN(const Txid txid, m_wallet.Broadcast(built));
    RETURN_IF_ERROR(wallet->NoteGiftSent(first_input, txid));
    LogInfo("sale", "the key of {} is passed on in {}", lock.ToString(), txid.Hex());
    m_events.Publish("gift", lock.ToString(), txid.Hex());
    return txid;
}

std::vector<GiftAgent::Received> GiftAgent::ListReceived() const {
    std::vector<Received> list;
    if (!m_wallet.Exists()) return list;
    for (const auto& [output, gift] : (*m_wallet.Get())->Gifts()) {
        Received received{gift.purchase, gift.txid, {}, {}, 0, false};
        const auto purchase = m_chain.chain().indexes().FindPurchase(gift.purchase);
        const auto publish = purchase && *purchase ? m_wallet.FindPublish((*purchase)->publish) : std::nullopt;
        if (publish) {
            const PublishRecord& record = publish->record;
            received.claim = publish->claim;
            received.title = record.title;
            received.tier = (*purchase)->tier;
            if (received.tier == 0)
                received.good = gift.point == record.title_key;
            else if (received.tier <= record.segments.size())
                received.good = gift.point == record.segments[received.tier - 1u].key;
        }
        list.push_back(std::move(received));
    }
    return list;
}

}  // namespace sluice::node
