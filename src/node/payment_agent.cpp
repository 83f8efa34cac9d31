#include "node/payment_agent.h"

#include "content/settlement.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

void PaymentAgent::PostToSwarm(std::function<void(SwarmService&)> task) {
    m_environment.network_strand.Post([this, alive = m_alive, task = std::move(task)] {
        if (*alive) task(m_swarm);
    });
}

void PaymentAgent::Resume(const std::vector<PayerChannel>& payer, const std::vector<PayeeChannel>& payee) {
    const auto wallet = m_wallet.Get();
    for (const PayerChannel& channel : payer) {
        if (channel.closed || !wallet || m_watched.contains(channel.lock.outpoint)) continue;
        auto key = (*wallet)->ChannelPayerKey(channel.lock.outpoint);
        if (!key) continue;
        Watch(channel.lock.outpoint);
        auto shared_key = std::make_shared<crypto::SecretKey>(std::move(*key));
        PostToSwarm([channel, shared_key](SwarmService& swarm) { swarm.OnChannelReady(channel, shared_key->Clone()); });
    }
    // Closed ones too: a reorganisation may take back what closed them.
    for (const PayeeChannel& channel : payee) Watch(channel.lock.outpoint);
}

void PaymentAgent::OpenChannels(const WantChannels& wanted) {
    m_environment.chain_strand.Post([this, alive = m_alive, wanted] {
        if (!*alive) return;
        const Status opened = Open(wanted);
        if (opened) return;
        LogWarning("payments", "channels could not be opened: {}", opened.error().message);
        PostToSwarm([content = wanted.content, error = opened.error()](SwarmService& swarm) {
            swarm.OnChannelsFailed(content, error);
        });
    });
}

Status PaymentAgent::Open(const WantChannels& wanted) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    wallet::ChannelRequest request;
    Height expiry = wallet->DefaultChannelExpiry();
    for (const ChannelWanted& channel : wanted.channels) {
        request.payees.push_back({channel.payee_key, channel.capacity});
        // One block of slack: the payee's tip may be one ahead when it looks.
        expiry = std::max(expiry, m_chain.chain().tip()->height() + (channel.min_window_blocks + 2));
    }
    request.expiry_height = expiry;
    ASSIGN_OR_RETURN(const wallet::BuiltChannels built, wallet->BuildChannels(request));
    ASSIGN_OR_RETURN(const Txid txid, m_wallet.Broadcast(built.built));
    LogInfo("payments", "opening {} channels in {}", built.channels.size(), txid.Hex());
    for (size_t i = 0; i < built.channels.size(); ++i) {
        const auto& opened = built.channels[i];
        const ChannelWanted& asked = wanted.channels[i];
        PayerChannel channel;
        channel.lock = {opened.lock,         opened.payer_key.XOnly(), opened.payee_key,
                        built.expiry_height, opened.output.value,      built.return_script};
        channel.payee_node = asked.payee_node;
        channel.salt = asked.salt;
        channel.first_voucher = asked.first_voucher;
        channel.returned = opened.output.value;
        Watch(opened.lock);
        auto key = std::make_shared<crypto::SecretKey>(opened.payer_key.Clone());
        PostToSwarm([channel, key](SwarmService& swarm) { swarm.OnChannelReady(channel, key->Clone()); });
    }
    return {};
}

std::optional<ChannelFacts> PaymentAgent::FactsOf(const OutPoint& outpoint) const {
    const chain::ChainManager& chain = m_chain.chain();
    const auto coin = chain.mempool().view().Get<consensus::Coin>(outpoint);
    const auto state = chain.mempool().view().Get<consensus::ChannelState>(outpoint);
    if (!coin || !state) return std::nullopt;
    const int64_t depth = chain.tip()->height() - coin->height + 1;
    return ChannelFacts{coin->output, *state, static_cast<uint32_t>(std::max<int64_t>(0, depth))};
}

void PaymentAgent::CheckChannel(const content::CheckChannel& shown) {
    m_environment.chain_strand.Post([this, alive = m_alive, check = Check{shown.peer, shown.lock}] {
        if (!*alive) return;
        const OutPoint& outpoint = check.lock.outpoint;
        if (const auto facts = FactsOf(outpoint)) return Answer(check, facts);
        m_waiting.emplace(outpoint.txid, check);
        m_environment.chain_strand.PostAfter(kOpeningPatience, [this, still_alive = m_alive, check] {
            if (!*still_alive) return;
            const auto [first, last] = m_waiting.equal_range(check.lock.outpoint.txid);
            for (auto it = first; it != last; ++it) {
                if (it->second.peer != check.peer || !(it->second.lock == check.lock)) continue;
                m_waiting.erase(it);
                return Answer(check, std::nullopt);
            }
        });
    });
}

void PaymentAgent::Answer(const Check& check, const std::optional<ChannelFacts>& facts) {
    PostToSwarm([check, facts](SwarmService& swarm) { swarm.OnChannelKnown(check.peer, check.lock.outpoint, facts); });
    if (facts) Watch(check.lock.outpoint);
}

void PaymentAgent::Watch(const OutPoint& outpoint) {
    const auto [watched, added] = m_watched.try_emplace(outpoint);
    if (added) Look(outpoint, watched->second);
}

// Tells the swarm how deep the channel is, or that it is spent.
void PaymentAgent::Look(const OutPoint& outpoint, Watched& watched) {
    const chain::ChainManager& chain = m_chain.chain();
    if (const auto coin = chain.state().Get<consensus::Coin>(outpoint)) {
        const auto depth = static_cast<uint32_t>(chain.tip()->height() - coin->height + 1);
        if (watched.depth == depth) return;
        watched = {depth, std::nullopt};
        PostToSwarm([outpoint, depth](SwarmService& swarm) { swarm.OnChannelConfirmed(outpoint, depth); });
        return;
    }
    const auto spender = chain.indexes().SpenderOf(outpoint);
    if (!spender) return;
    if (*spender) {
        if (!watched.spent_height) PostToSwarm([outpoint](SwarmService& swarm) { swarm.OnChannelSpent(outpoint); });
        watched = {std::nullopt, (*spender)->height};
        return;
    }
    if (!watched.depth && !watched.spent_height) return;
    // A reorganisation took the opening away.
    watched = {};
    PostToSwarm([outpoint](SwarmService& swarm) { swarm.OnChannelConfirmed(outpoint, 0); });
}

void PaymentAgent::OnTipChanged(const chain::TipChange&) {
    const Height height = m_chain.chain().tip()->height();
    for (auto it = m_watched.begin(); it != m_watched.end();) {
        Look(it->first, it->second);
        const auto& spent = it->second.spent_height;
        it = spent && height - *spent > int64_t{m_chain.params().k} ? m_watched.erase(it) : std::next(it);
    }
    PostToSwarm([height](SwarmService& swarm) { swarm.OnTip(height); });
    for (auto it = m_waiting.begin(); it != m_waiting.end();) {
        const auto facts = FactsOf(it->second.lock.outpoint);
        if (facts) Answer(it->second, facts);
        it = facts ? m_waiting.erase(it) : std::next(it);
    }
    TakeRefunds();
    if (!m_chain.Syncing()) SettleDue(height);
}

void PaymentAgent::OnTransactionAccepted(const TransactionRef& tx) {
    const auto [first, last] = m_waiting.equal_range(tx->txid());
    for (auto it = first; it != last;) {
        const auto facts = FactsOf(it->second.lock.outpoint);
        if (facts) Answer(it->second, facts);
        it = facts ? m_waiting.erase(it) : std::next(it);
    }
}

void PaymentAgent::TakeRefunds() {
    const auto wallet = m_wallet.Get();
    if (!wallet || m_chain.Syncing()) return;
    for (const OutPoint& lock : (*wallet)->RefundableLocks()) {
        if (m_chain.chain().mempool().SpenderOf(lock)) continue;
        const auto built = (*wallet)->BuildRefund(lock);
        if (!built) {
            LogWarning("payments", "the refund of {} waits: {}", lock.ToString(), built.error().message);
            continue;
        }
        const auto sent = m_wallet.Broadcast(*built);
        if (sent)
            LogInfo("payments", "refunding {} in {}", lock.ToString(), sent->Hex());
        else
            LogWarning("payments", "the refund of {} waits: {}", lock.ToString(), sent.error().message);
    }
}

void PaymentAgent::SettleDue(Height height) {
    PostToSwarm([this, height, params = m_chain.params()](SwarmService& swarm) {
        std::vector<PayeeChannel> due;
        for (const PayeeChannel& channel : swarm.PayeeChannels())
            if (channel.phase != ChannelPhase::kClosed && channel.Paid() > Amount(0) &&
                !TakesDebt(params, channel.lock, height))
                due.push_back(channel);
        if (due.empty()) return;
        for (const PayeeChannel& channel : due) swarm.CloseForSettling(channel.lock.outpoint);
        m_environment.chain_strand.Post([this, alive = m_alive, due] {
            if (!*alive) return;
            const auto settled = Settle(due);
            if (!settled && settled.error().kind != ErrorKind::kFunds)
                LogWarning("payments", "channels near their expiry are not settled: {}", settled.error().message);
        });
    });
}

Result<SettleOutcome> PaymentAgent::Settle(const std::vector<PayeeChannel>& channels) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    std::vector<PayeeChannel> open;
    for (const PayeeChannel& channel : channels) {
        // Spent on the chain or by a settlement on its way: nothing to do.
        if (!m_chain.chain().state().Get<consensus::Coin>(channel.lock.outpoint)) continue;
        if (!m_chain.chain().mempool().SpenderOf(channel.lock.outpoint)) open.push_back(channel);
    }
    // An address is used up only by a settlement that was made.
    if (m_take_script.empty()) {
        ASSIGN_OR_RETURN(m_take_script, wallet->NewReceiveScript("settlement"));
    }
    ASSIGN_OR_RETURN(const Settlement settlement,
                     BuildSettlement(m_chain.params(), m_chain.chain().genesis_hash(), open, m_seeds,
                                     m_take_script, Amount(wallet::kDefaultFeePerKvb)));
    const TransactionRef tx = MakeTransaction(settlement.tx);
    const auto accepted = m_chain.Submit(tx);
    if (!accepted) return Fail("the settlement was refused by this node: " + accepted.error().ToString());
    m_take_script.clear();
    LogInfo("payments", "settling {} channels for {} SLU in {}", settlement.channels.size(), FormatSlu(settlement.take),
            tx->txid().Hex());
    return SettleOutcome{tx->txid(),     settlement.channels.size(), settlement.take,
                         settlement.fee, settlement.burned,          settlement.returned};
}

}  // namespace sluice::node
