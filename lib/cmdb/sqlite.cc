#include "lib/cmdb/sqlite.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/file_watch.h"
#include "lib/cmdb/pending_ops.h"
#include "lib/cmdb/sqlite_worker.h"
#include "lib/cmdb/txn_check.h"
#include "lib/cmdb/watch_set.h"

namespace fastcontainer {
namespace {

constexpr size_t kWatchBatch = 1'000;
constexpr Nanos kPollInterval = kSecond;          // in case a notification was lost
constexpr Nanos kLockedPause = 2 * kMillisecond;  // until a locked file is read again for the watches
constexpr Nanos kReadWait = 2 * kSecond;          // of a read that went to the worker

}  // namespace

class SqliteCmdb::Core : public std::enable_shared_from_this<SqliteCmdb::Core> {
 public:
  Core(std::string path, Reactor& reactor, std::unique_ptr<SqliteDatabase> reader,
       std::unique_ptr<SqliteDatabase> writer)
      : path_(std::move(path)),
        reactor_(reactor),
        reader_(std::move(reader)),
        worker_(std::make_unique<SqliteWorker>(std::move(writer))),
        file_(path_, reactor, [this] { Later([](Core& core) { core.Touched(); }); }) {}

  void Start() {
    Later([](Core& core) { core.CheckLeases(); });
  }

  // Joins the worker; the core itself may live on for the callback that is destroying it.
  void Stop() {
    stopped_ = true;
    worker_.reset();
    for (const auto& [id, job] : jobs_) reactor_.CancelTimer(job.timer);
    jobs_.clear();
    reactor_.CancelTimer(poll_timer_);
    reactor_.CancelTimer(lease_timer_);
    pending_.Clear();
    watches_.Clear();
  }

  // `read` asks a connection: the loop's, or the worker's if that one would have to wait.
  template <typename Result, typename Callback, typename Read>
  OpId SubmitRead(Callback callback, Read read) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    absl::StatusOr<Result> result = replaced_ ? absl::StatusOr<Result>(Replaced()) : read(*reader_);
    if (!absl::IsAborted(result.status())) {
      Later([id, result = std::move(result)](Core& core) mutable {
        core.pending_.Complete(id, std::move(result));
      });
      return id;
    }
    auto job = [this, weak = weak_from_this(), id, read = std::move(read)](SqliteDatabase& database) mutable {
      absl::StatusOr<Result> waited = read(database);
      if (absl::IsAborted(waited.status())) waited = absl::UnavailableError(waited.status().message());
      Post(weak,
           [id, waited = std::move(waited)](Core& core) mutable { core.EndJob(id, std::move(waited)); });
    };
    AddJob(id, reactor_.Now() + kReadWait, std::move(job), [](Core& core, OpId late) {
      core.pending_.Complete(
          late,
          absl::StatusOr<Result>(absl::UnavailableError("sqlite: the file is locked by another process")));
    });
    return id;
  }

  OpId SubmitTxn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
                 TxnCallback callback) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    const Nanos now = reactor_.Now();
    if (deadline == 0) deadline = now + kDefaultTxnDeadline;
    TxnResult refused;
    if (deadline <= now) refused.error = "the deadline passed before the transaction was sent";
    if (replaced_) refused.error = std::string(Replaced().message());
    if (!refused.error.empty()) {
      Later([id, refused = std::move(refused)](Core& core) mutable {
        core.pending_.Complete(id, std::move(refused));
      });
      return id;
    }
    AddTimer(id, deadline, nullptr);
    jobs_[id].job = worker_->SubmitTxn(
        std::move(compares), std::move(mutations), [this, weak = weak_from_this(), id](TxnResult result) {
          const bool changed = result.outcome == TxnOutcome::kOk;
          // The answer first: telling the watches wakes this loop, too.
          Post(weak,
               [id, result = std::move(result)](Core& core) mutable { core.EndJob(id, std::move(result)); });
          if (changed) FileWatch::Touch(path_);
        });
    return id;
  }

  // `change` asks the worker's connection about a lease.
  template <typename Change>
  OpId SubmitLease(LeaseCallback callback, Change change) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    if (replaced_) {
      Later([id](Core& core) { core.pending_.Complete(id, absl::StatusOr<CmdbLease>(Replaced())); });
      return id;
    }
    auto job = [this, weak = weak_from_this(), id, change](SqliteDatabase& database) {
      absl::StatusOr<CmdbLease> lease = change(database, SqliteDatabase::BootTime::Now());
      if (lease.ok()) FileWatch::Touch(path_);
      const absl::StatusCode code = lease.status().code();
      if (code == absl::StatusCode::kAborted || code == absl::StatusCode::kDataLoss)
        lease = absl::UnavailableError(lease.status().message());
      Post(weak, [id, lease = std::move(lease)](Core& core) mutable {
        core.CheckLeases();
        core.EndJob(id, std::move(lease));
      });
    };
    AddJob(id, reactor_.Now() + kDefaultTxnDeadline, std::move(job), [](Core& core, OpId late) {
      core.pending_.Complete(
          late, absl::StatusOr<CmdbLease>(absl::UnavailableError("sqlite: no answer about a lease in time")));
    });
    return id;
  }

  OpId AddWatch(std::string_view prefix, uint64_t after, WatchCallback callback) {
    const OpId id = next_id_++;
    watches_.Add(id, prefix, after, std::move(callback));
    Later([](Core& core) { core.Pump(); });
    if (poll_timer_ == 0) ArmPoll();
    return id;
  }

  bool Cancel(OpId id) {
    if (const auto job = jobs_.find(id); job != jobs_.end()) {
      reactor_.CancelTimer(job->second.timer);
      jobs_.erase(job);
    }
    return pending_.Forget(id) || watches_.Cancel(id);
  }

 private:
  struct Running {
    SqliteWorker::JobId job = 0;
    Reactor::TimerId timer = 0;
  };
  using Expired = void (*)(Core& core, OpId id);

  static absl::Status Replaced() {
    return absl::UnavailableError("sqlite: the file was moved, removed or replaced; open it anew");
  }

  template <typename Action>
  void Later(Action action) {
    reactor_.Defer([weak = weak_from_this(), action = std::move(action)]() mutable {
      if (const auto core = weak.lock(); core != nullptr && !core->stopped_) action(*core);
    });
  }

  // On the worker's thread. The reactor and `this` are there: Stop() joins the worker first.
  template <typename Action>
  void Post(std::weak_ptr<Core> weak, Action action) {
    reactor_.Post([weak = std::move(weak), action = std::move(action)]() mutable {
      if (const auto core = weak.lock(); core != nullptr && !core->stopped_) action(*core);
    });
  }

  void AddJob(OpId id, Nanos deadline, SqliteWorker::Job work, Expired expired) {
    AddTimer(id, deadline, expired);
    jobs_[id].job = worker_->Submit(std::move(work));
  }

  void AddTimer(OpId id, Nanos deadline, Expired expired) {
    jobs_[id].timer = reactor_.At(deadline, [weak = weak_from_this(), id, expired] {
      if (const auto core = weak.lock(); core != nullptr && !core->stopped_) core->Expire(id, expired);
    });
  }

  template <typename Result>
  void EndJob(OpId id, Result result) {
    const auto job = jobs_.find(id);
    if (job != jobs_.end()) {
      reactor_.CancelTimer(job->second.timer);
      jobs_.erase(job);
    }
    const std::shared_ptr<Core> self = shared_from_this();
    pending_.Complete(id, std::move(result));
    if (!stopped_) Pump();
  }

  void Expire(OpId id, Expired expired) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) return;
    const SqliteWorker::Withdrawn withdrawn = worker_->Withdraw(job->second.job);
    if (withdrawn == SqliteWorker::Withdrawn::kHasRun) {
      // The answer is on its way to this loop, and says more than "unknown".
      job->second.timer = 0;
      return;
    }
    jobs_.erase(job);
    if (expired != nullptr) return expired(*this, id);
    TxnResult result;
    const bool began = withdrawn == SqliteWorker::Withdrawn::kRuns;
    result.outcome = began ? TxnOutcome::kUnknown : TxnOutcome::kUnavailable;
    result.error = began ? "sqlite: the deadline passed during the transaction"
                         : "sqlite: the deadline passed before the transaction began";
    pending_.Complete(id, std::move(result));
  }

  void Touched() {
    const std::shared_ptr<Core> self = shared_from_this();
    CheckLeases();
    Pump();
  }

  // Ends the leases that are due, or sets the timer for the first that will be: each process does, since the
  // one that keeps a lease may be gone.
  void CheckLeases() {
    if (stopped_ || replaced_ || sweeping_) return;
    reactor_.CancelTimer(lease_timer_);
    lease_timer_ = 0;
    const absl::StatusOr<Nanos> next = reader_->NextLeaseEnd(SqliteDatabase::BootTime::Now());
    if (absl::IsAborted(next.status())) return CheckLeasesIn(kLockedPause);
    if (!next.ok() || *next == kForever) return;
    if (*next > 0) return CheckLeasesIn(*next);
    sweeping_ = true;
    worker_->Submit([this, weak = weak_from_this()](SqliteDatabase& database) {
      const bool ended = database.EndLeases(SqliteDatabase::BootTime::Now()).ok();
      if (ended) FileWatch::Touch(path_);
      Post(weak, [ended](Core& core) { core.EndSweep(ended); });
    });
  }

  void CheckLeasesIn(Nanos delay) {
    lease_timer_ = reactor_.After(delay, [weak = weak_from_this()] {
      if (const auto core = weak.lock()) core->CheckLeases();
    });
  }

  void EndSweep(bool ended) {
    sweeping_ = false;
    if (!ended) return CheckLeasesIn(kPollInterval);
    Touched();
  }

  void Pump() {
    if (stopped_ || watches_.empty() || replaced_) return;
    const std::shared_ptr<Core> self = shared_from_this();
    absl::Status status;
    const bool more = watches_.Pump([&](uint64_t after) {
      absl::StatusOr<ChangeBatch> batch = reader_->ChangesAfter(after, kWatchBatch);
      status = batch.status();
      return batch;
    });
    if (stopped_) return;
    if (absl::IsAborted(status)) {
      reactor_.After(kLockedPause, [weak = weak_from_this()] {
        if (const auto core = weak.lock()) core->Pump();
      });
    } else if (more) {
      Later([](Core& core) { core.Pump(); });
    }
  }

  void ArmPoll() {
    poll_timer_ = reactor_.After(kPollInterval, [weak = weak_from_this()] {
      if (const auto core = weak.lock(); core != nullptr && !core->stopped_) core->Poll();
    });
  }

  void Poll() {
    poll_timer_ = 0;
    if (watches_.empty()) return;
    ArmPoll();
    const std::shared_ptr<Core> self = shared_from_this();
    if (!file_.IsSameFile()) {
      replaced_ = true;
      return watches_.Disconnect();
    }
    CheckLeases();  // timers stand still while the machine sleeps, and leases do not
    const absl::StatusOr<uint64_t> version = reader_->DataVersion();
    if (!version.ok() || (*version == data_version_ && watches_.connected())) return;
    data_version_ = *version;
    if (!watches_.connected()) {
      if (!reader_->ChangesAfter(0, 1).ok()) return;
      watches_.Connect();
    }
    Pump();
  }

  const std::string path_;
  Reactor& reactor_;
  const std::unique_ptr<SqliteDatabase> reader_;
  std::unique_ptr<SqliteWorker> worker_;
  FileWatch file_;
  bool stopped_ = false;
  bool replaced_ = false;  // the path names another file now: what is written here would be lost
  OpId next_id_ = 1;
  PendingOps pending_;
  std::map<OpId, Running> jobs_;
  WatchSet watches_;
  Reactor::TimerId poll_timer_ = 0;
  Reactor::TimerId lease_timer_ = 0;
  bool sweeping_ = false;
  uint64_t data_version_ = 0;
};

absl::StatusOr<std::unique_ptr<Cmdb>> SqliteCmdb::Open(const std::string& path, Reactor& reactor,
                                                       uint64_t history) {
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> writer =
      SqliteDatabase::Open(path, SqliteDatabase::Role::kWriter, history);
  if (absl::IsAborted(writer.status())) return absl::UnavailableError(writer.status().message());
  if (!writer.ok()) return writer.status();
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> reader =
      SqliteDatabase::Open(path, SqliteDatabase::Role::kReader);
  if (absl::IsAborted(reader.status())) return absl::UnavailableError(reader.status().message());
  if (!reader.ok()) return reader.status();
  auto core = std::make_shared<Core>(path, reactor, *std::move(reader), *std::move(writer));
  core->Start();
  return std::unique_ptr<Cmdb>(new SqliteCmdb(std::move(core)));
}

SqliteCmdb::~SqliteCmdb() { core_->Stop(); }

Cmdb::OpId SqliteCmdb::Get(std::string_view key, ReadMode, GetCallback callback) {
  // Every read of a committed state is linearizable here: there is one file.
  return core_->SubmitRead<Record>(
      std::move(callback), [key = std::string(key)](SqliteDatabase& database) { return database.Get(key); });
}

Cmdb::OpId SqliteCmdb::List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                            uint32_t limit, ListCallback callback) {
  return core_->SubmitRead<ListPage>(
      std::move(callback),
      [prefix = std::string(prefix), after = std::string(after), at_revision,
       limit](SqliteDatabase& database) { return database.List(prefix, after, at_revision, limit); });
}

Cmdb::OpId SqliteCmdb::Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
                           TxnCallback callback) {
  return core_->SubmitTxn(std::move(compares), std::move(mutations), deadline, std::move(callback));
}

Cmdb::OpId SqliteCmdb::Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) {
  return core_->AddWatch(prefix, after_revision, std::move(callback));
}

Cmdb::OpId SqliteCmdb::GrantLease(Nanos ttl, LeaseCallback callback) {
  return core_->SubmitLease(std::move(callback), [ttl](SqliteDatabase& database, const auto& now) {
    return database.GrantLease(ttl, now);
  });
}

Cmdb::OpId SqliteCmdb::KeepLease(uint64_t lease, LeaseCallback callback) {
  return core_->SubmitLease(std::move(callback), [lease](SqliteDatabase& database, const auto& now) {
    return database.KeepLease(lease, now);
  });
}

Cmdb::OpId SqliteCmdb::RevokeLease(uint64_t lease, LeaseCallback callback) {
  return core_->SubmitLease(std::move(callback), [lease](SqliteDatabase& database, const auto& now) {
    return database.RevokeLease(lease, now);
  });
}

bool SqliteCmdb::Cancel(OpId id) { return core_->Cancel(id); }

}  // namespace fastcontainer
