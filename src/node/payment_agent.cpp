#include "node/payment_agent.h"

#include <algorithm>

#include "content/settlement.h"
#include "node/fee_estimate.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

bool IsSettlement(const Transaction& tx) {
    return std::any_of(tx.outputs().begin(), tx.outputs().end(), [](const TxOutput& output) {
        const auto script = ParseOutputScript(output.script);
        if (!script || script->kind != OutputKind::kRecord) return false;
        const auto record = DecodeRecord(script->record);
        return record && std::holds_alternative<SettleRecord>(*record);
    });
}

// Per 1,000 vB, rounded up.
Amount RateOf(const chain::MempoolEntry& entry) {
    return Amount((entry.fee.drops * 1'000 + entry.vsize() - 1) / entry.vsize());
}

// Locks of the wallet that a refund spends, with that refund, in a block or not.
std::vector<std::pair<OutPoint, Txid>> Refunded(const wallet::Wallet& wallet) {
    std::vector<std::pair<OutPoint, Txid>> refunded;
    for (const auto& [lock, purchase] : wallet.Purchases())
        if (purchase.status == wallet::PurchaseStatus::kRefunded && purchase.resolved_by)
            refunded.emplace_back(lock, *purchase.resolved_by);
    for (const auto& [lock, channel] : wallet.Channels())
        if (channel.status == wallet::ChannelStatus::kRefunded && channel.resolved_by)
            refunded.emplace_back(lock, *channel.resolved_by);
    return refunded;
}

}  // namespace

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
        m_opened[channel.lock.outpoint.txid].push_back(channel.lock.outpoint);
        Watch(channel.lock.outpoint);
        auto shared_key = std::make_shared<crypto::SecretKey>(std::move(*key));
        PostToSwarm([channel, shared_key](SwarmService& swarm) { swarm.OnChannelReady(channel, shared_key->Clone()); });
    }
    // Closed ones too: a reorganisation may take back what closed them.
    for (const PayeeChannel& channel : payee) Watch(channel.lock.outpoint);
    if (!m_chain.Syncing()) SettleDue();
}

void PaymentAgent::Restore(const std::vector<PayeeChannel>& channels, std::vector<SecretBytes<32>> seeds) {
    for (auto& seed : seeds) {
        auto shared_seed = std::make_shared<SecretBytes<32>>(seed.Clone());
        PostToSwarm([shared_seed](SwarmService& swarm) { swarm.swarm().AddOlderPayeeSeed(shared_seed->Clone()); });
        m_seeds.AddOlder(std::move(seed));
    }
    // A backup is a file like any other: what its payer did not sign is worth nothing, and would be believed to be.
    std::vector<PayeeChannel> good;
    for (const PayeeChannel& channel : channels) {
        const bool is_signed = channel.signature && VerifyVoucher(channel.lock, {channel.lock.outpoint,
                                                                                 channel.returned, *channel.signature});
        const bool is_empty = !channel.signature && channel.returned == channel.lock.capacity;
        if (is_signed || is_empty)
            good.push_back(channel);
        else
            LogWarning("payments", "the voucher of channel {} in the backup is not signed by its payer",
                       channel.lock.outpoint.ToString());
    }
    PostToSwarm([good](SwarmService& swarm) { swarm.AddPayeeChannels(good); });
    for (const PayeeChannel& channel : good) {
        // Looked at anew: the swarm hears how deep it is, or that it is spent.
        m_watched.erase(channel.lock.outpoint);
        Watch(channel.lock.outpoint);
    }
    if (!m_chain.Syncing()) SettleDue();
}

Amount PaymentAgent::FeePerKvb() const { return EstimateFeePerKvb(m_chain.chain().mempool()); }

std::optional<uint32_t> PaymentAgent::DepthOf(const OutPoint& channel) const {
    const auto facts = FactsOf(channel);
    return facts ? std::optional(facts->depth) : std::nullopt;
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
    request.feerate_per_kvb = FeePerKvb().drops;
    ASSIGN_OR_RETURN(const wallet::BuiltChannels built, wallet->BuildChannels(request));
    const Amount cost(built.built.fee.drops + built.built.burned.drops);
    if (cost > wanted.max_fees) {
        wallet->Abandon(built.built);
        return Fail(ErrorKind::kFunds, "opening channels costs " + FormatSlu(cost) + " SLU in fees, more than the " +
                                           FormatSlu(wanted.max_fees) +
                                           " that was reckoned with: try again when fees are lower, or join coins");
    }
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
        channel.opening_cost = Amount((cost.drops + built.channels.size() - 1) / built.channels.size());
        m_opened[txid].push_back(opened.lock);
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
        if (!spent || height - *spent <= int64_t{m_chain.params().k}) {
            ++it;
            continue;
        }
        // Nothing brings it back any more.
        m_opened.erase(it->first.txid);
        PostToSwarm([channel = it->first](SwarmService& swarm) { swarm.ForgetChannel(channel); });
        it = m_watched.erase(it);
    }
    PostToSwarm([height, rate = FeePerKvb()](SwarmService& swarm) {
        swarm.swarm().SetFeeRate(rate);
        swarm.OnTip(height);
    });
    for (auto it = m_waiting.begin(); it != m_waiting.end();) {
        const auto facts = FactsOf(it->second.lock.outpoint);
        if (facts) Answer(it->second, facts);
        it = facts ? m_waiting.erase(it) : std::next(it);
    }
    std::erase_if(m_settling, [&](const auto& entry) { return !m_chain.chain().mempool().Find(entry.first); });
    TakeRefunds();
    if (!m_chain.Syncing()) SettleDue();
}

void PaymentAgent::OnTransactionAccepted(const TransactionRef& tx) {
    const auto [first, last] = m_waiting.equal_range(tx->txid());
    for (auto it = first; it != last;) {
        const auto facts = FactsOf(it->second.lock.outpoint);
        if (facts) Answer(it->second, facts);
        it = facts ? m_waiting.erase(it) : std::next(it);
    }
    // A payer takes back what it has paid with vouchers: ours have to be in a block first.
    const bool spends_ours = std::any_of(tx->inputs().begin(), tx->inputs().end(),
                                         [&](const TxInput& input) { return m_watched.contains(input.prevout); });
    if (spends_ours && !IsSettlement(*tx) && !m_chain.Syncing()) SettleDue();
}

void PaymentAgent::OnTransactionRemoved(const chain::RemovedTransaction& removed) {
    using Why = chain::RemovedTransaction::Why;
    // What is evicted or expired is sent again by the wallet.
    if (removed.why != Why::kConflict && removed.why != Why::kReplaced && removed.why != Why::kReorg) return;
    const auto opened = m_opened.find(removed.tx->txid());
    if (opened == m_opened.end()) return;
    for (const OutPoint& channel : opened->second) {
        LogWarning("payments", "the opening of channel {} was dropped: its money is free again", channel.ToString());
        PostToSwarm([channel](SwarmService& swarm) { swarm.OnOpeningLost(channel); });
    }
}

void PaymentAgent::TakeRefunds() {
    const auto wallet = m_wallet.Get();
    if (!wallet || m_chain.Syncing()) return;
    const chain::Mempool& mempool = m_chain.chain().mempool();
    std::erase_if(m_refunding, [&](const auto& entry) { return !mempool.Find(entry.first); });
    for (const auto& [lock, txid] : Refunded(**wallet))
        if (const chain::MempoolEntry* entry = mempool.Find(txid)) RaiseRefund(**wallet, lock, *entry);
    for (const OutPoint& lock : (*wallet)->RefundableLocks()) {
        if (mempool.SpenderOf(lock)) continue;
        const auto built = BuildRefund(**wallet, lock);
        if (!built) {
            LogWarning("payments", "the refund of {} waits: {}", lock.ToString(), built.error().message);
            continue;
        }
        const auto sent = m_wallet.Broadcast(*built);
        if (!sent) {
            LogWarning("payments", "the refund of {} waits: {}", lock.ToString(), sent.error().message);
            continue;
        }
        LogInfo("payments", "refunding {} in {}", lock.ToString(), sent->Hex());
        m_refunding[*sent] = m_chain.chain().tip()->height();
    }
}

// At what gets into the next block, if that is not over the bound of a refund that waits.
Result<wallet::BuiltTransaction> PaymentAgent::BuildRefund(wallet::Wallet& wallet, const OutPoint& lock) const {
    ASSIGN_OR_RETURN(wallet::BuiltTransaction usual, wallet.BuildRefund(lock));
    const auto coin = wallet.OwnOutput(lock);
    const Amount rate = std::min(FeePerKvb(), PatientRefundRate(coin ? coin->value : Amount(0), usual.tx->vsize()));
    if (rate.drops <= wallet::kDefaultFeePerKvb) return usual;
    wallet.Abandon(usual);
    return wallet.BuildRefund(lock, rate.drops);
}

void PaymentAgent::RaiseRefund(wallet::Wallet& wallet, const OutPoint& lock, const chain::MempoolEntry& entry) {
    const Height height = m_chain.chain().tip()->height();
    const Txid txid = entry.tx->txid();
    const Height since = m_refunding.try_emplace(txid, height).first->second;
    const auto coin = wallet.OwnOutput(lock);
    if (!coin) return;
    const auto rate = NextRefundRate(
        {coin->value, entry.vsize(), RateOf(entry), static_cast<uint32_t>(std::max<int64_t>(height - since, 0))},
        FeePerKvb());
    if (!rate) return;
    const auto sent = [&]() -> Result<Txid> {
        ASSIGN_OR_RETURN(const wallet::BuiltTransaction built, wallet.BuildFeeBump(txid, rate->drops));
        return m_wallet.Broadcast(built);
    }();
    if (!sent) {
        LogWarning("payments", "the refund {} is not replaced: {}", txid.Hex(), sent.error().message);
        return;
    }
    LogInfo("payments", "{} takes the place of the refund {}, for {} drops per 1,000 vB", sent->Hex(), txid.Hex(),
            rate->drops);
    m_refunding[*sent] = height;
}

void PaymentAgent::SettleDue() {
    const Height height = m_chain.chain().tip()->height();
    PostToSwarm([this, height, rate = FeePerKvb()](SwarmService& swarm) {
        const Instant now = m_environment.clock.Monotonic();
        std::vector<PayeeChannel> channels;
        std::set<OutPoint> due;
        for (const Swarm::PayeeView& view : swarm.swarm().PayeeViews()) {
            const PayeeChannel& channel = view.channel;
            if (channel.phase == ChannelPhase::kClosed || !channel.signature) continue;
            channels.push_back(channel);
            const bool in_use = now - view.last_used < m_settle_idle;
            if (DueForSettling(m_chain.params(), channel, height, in_use, rate)) due.insert(channel.lock.outpoint);
        }
        if (due.empty()) return;
        for (const OutPoint& channel : due) swarm.CloseForSettling(channel);
        m_environment.chain_strand.Post([this, alive = m_alive, channels = std::move(channels), due = std::move(due)] {
            if (*alive) SettleRound(channels, due);
        });
    });
}

void PaymentAgent::SettleRound(const std::vector<PayeeChannel>& channels, const std::set<OutPoint>& due) {
    const chain::ChainManager& chain = m_chain.chain();
    const Amount estimate = FeePerKvb();
    const Height height = chain.tip()->height();
    std::vector<PayeeChannel> fresh;
    std::map<Txid, std::vector<PayeeChannel>> ours;        // settlements that wait for too long
    std::map<Txid, std::vector<PayeeChannel>> threatened;  // by the refund: a dear one makes no other dear
    for (const PayeeChannel& channel : channels) {
        if (!chain.state().Get<consensus::Coin>(channel.lock.outpoint)) continue;  // not there (yet), or spent
        const auto spender = chain.mempool().SpenderOf(channel.lock.outpoint);
        const chain::MempoolEntry* entry = spender ? chain.mempool().Find(*spender) : nullptr;
        if (entry == nullptr) {
            if (due.contains(channel.lock.outpoint)) fresh.push_back(channel);
        } else if (IsSettlement(*entry->tx)) {
            const Height since = m_settling.try_emplace(*spender, height).first->second;
            if (height - since >= int64_t{kSettlePatience}) ours[*spender].push_back(channel);
        } else {
            threatened[*spender].push_back(channel);
        }
    }
    const auto send = [&](const std::vector<PayeeChannel>& some, Amount rate, const TransactionRef& replaced) {
        const auto sent = SendSettlement(some, rate, replaced);
        if (!sent && sent.error().kind != ErrorKind::kFunds)
            LogWarning("payments", "{} channels are not settled: {}", some.size(), sent.error().message);
    };
    for (size_t first = 0; first < fresh.size(); first += kMaxSettledAtOnce) {
        const auto end = std::min(fresh.size(), first + kMaxSettledAtOnce);
        send({fresh.begin() + static_cast<ptrdiff_t>(first), fresh.begin() + static_cast<ptrdiff_t>(end)}, estimate,
             nullptr);
    }
    for (const auto& [txid, some] : ours) {
        const chain::MempoolEntry* entry = chain.mempool().Find(txid);
        if (entry == nullptr) continue;  // another one of this round took its place
        const TransactionRef replaced = entry->tx;
        const bool hurry = std::any_of(some.begin(), some.end(), [&](const PayeeChannel& channel) {
            return !TakesDebt(m_chain.params(), channel.lock, height);
        });
        Amount rate = RaisedSettleRate(RateOf(*entry), estimate);
        if (!hurry) rate = std::min(rate, PatientSettleRate(m_chain.params(), some));
        if (rate.drops > RateOf(*entry).drops + kReplacementStep.drops) send(some, rate, replaced);
    }
    for (const auto& [txid, some] : threatened) {
        if (const chain::MempoolEntry* entry = chain.mempool().Find(txid))
            send(some, RaisedSettleRate(RateOf(*entry), estimate), nullptr);
    }
}

Result<SettleOutcome> PaymentAgent::SendSettlement(const std::vector<PayeeChannel>& channels, Amount fee_per_kvb,
                                                   const TransactionRef& replaced) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    // An address is used up only by a settlement that was made.
    Script take = m_take_script;
    if (replaced) {
        for (const TxOutput& output : replaced->outputs())
            if (wallet->IsMine(output.script)) take = output.script;
    }
    if (take.empty()) {
        ASSIGN_OR_RETURN(m_take_script, wallet->NewReceiveScript("settlement"));
        take = m_take_script;
    }
    const auto build = [&](bool all) {
        return BuildSettlement(m_chain.params(), m_chain.chain().genesis_hash(), channels, m_seeds, take, fee_per_kvb,
                               all);
    };
    ASSIGN_OR_RETURN(Settlement settlement, build(false));
    TransactionRef tx = MakeTransaction(settlement.tx);
    auto accepted = m_chain.Submit(tx);
    if (!accepted && replaced && settlement.channels.size() < channels.size()) {
        // Without those that are not worth it any more it pays less than what it is to replace.
        ASSIGN_OR_RETURN(settlement, build(true));
        tx = MakeTransaction(settlement.tx);
        accepted = m_chain.Submit(tx);
    }
    if (!accepted) return Fail("the settlement was refused by this node: " + accepted.error().ToString());
    if (take == m_take_script) m_take_script.clear();
    m_settling[tx->txid()] = m_chain.chain().tip()->height();
    LogInfo("payments", "settling {} channels for {} SLU in {}", settlement.channels.size(), FormatSlu(settlement.take),
            tx->txid().Hex());
    return SettleOutcome{{tx->txid()},   settlement.channels.size(), settlement.take,
                         settlement.fee, settlement.burned,          settlement.returned};
}

Result<SettleOutcome> PaymentAgent::Settle(const std::vector<PayeeChannel>& channels) {
    std::vector<PayeeChannel> open;
    const Amount rate = FeePerKvb();
    for (const PayeeChannel& channel : channels) {
        // Spent on the chain or by a settlement on its way: nothing to do.
        if (!m_chain.chain().state().Get<consensus::Coin>(channel.lock.outpoint)) continue;
        if (m_chain.chain().mempool().SpenderOf(channel.lock.outpoint)) continue;
        if (WorthSettling(m_chain.params(), channel, rate)) open.push_back(channel);
    }
    if (open.empty()) return Fail(ErrorKind::kFunds, "no channel is worth settling");
    SettleOutcome all;
    for (size_t first = 0; first < open.size(); first += kMaxSettledAtOnce) {
        const auto end = std::min(open.size(), first + kMaxSettledAtOnce);
        const auto some = SendSettlement(
            {open.begin() + static_cast<ptrdiff_t>(first), open.begin() + static_cast<ptrdiff_t>(end)}, rate);
        if (!some && all.txids.empty()) return some;
        if (!some) break;
        all.txids.push_back(some->txids[0]);
        all.channels += some->channels;
        all.take.drops += some->take.drops;
        all.fee.drops += some->fee.drops;
        all.burned.drops += some->burned.drops;
        all.returned.drops += some->returned.drops;
    }
    return all;
}

}  // namespace sluice::node
