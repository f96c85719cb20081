#include "lib/cmdb/sqlite_worker.h"

#include <signal.h>

#include <algorithm>
#include <string>
#include <utility>

namespace fastcontainer {
namespace {

constexpr size_t kLargestGroup = 64;  // the first waits for the last to be written

// The program's signals are the program's threads' business.
std::thread StartWithoutSignals(absl::AnyInvocable<void()> run) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(run));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

SqliteWorker::SqliteWorker(std::unique_ptr<SqliteDatabase> database)
    : database_(std::move(database)), thread_(StartWithoutSignals([this] { Run(); })) {}

SqliteWorker::~SqliteWorker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    give_up_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

SqliteWorker::JobId SqliteWorker::Submit(Job job) {
  Entry entry;
  entry.job = std::move(job);
  return Enqueue(std::move(entry));
}

SqliteWorker::JobId SqliteWorker::SubmitTxn(std::vector<Compare> compares, std::vector<Mutation> mutations,
                                            absl::AnyInvocable<void(TxnResult)> done) {
  Entry entry;
  entry.transaction.compares = std::move(compares);
  entry.transaction.mutations = std::move(mutations);
  entry.done = std::move(done);
  return Enqueue(std::move(entry));
}

SqliteWorker::JobId SqliteWorker::Enqueue(Entry entry) {
  JobId id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = next_id_++;
    entry.id = id;
    queue_.push_back(std::move(entry));
  }
  changed_.notify_one();
  return id;
}

SqliteWorker::Withdrawn SqliteWorker::Withdraw(JobId id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (running_.count(id) > 0) {
    give_up_ = true;
    return Withdrawn::kRuns;
  }
  const auto waiting =
      std::find_if(queue_.begin(), queue_.end(), [id](const Entry& entry) { return entry.id == id; });
  if (waiting == queue_.end()) return Withdrawn::kHasRun;
  queue_.erase(waiting);
  if (beginning_ && !TxnIsNext()) give_up_ = true;
  return Withdrawn::kNeverRuns;
}

void SqliteWorker::RunJob(std::unique_lock<std::mutex>& lock) {
  {
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    running_.insert(entry.id);
    give_up_ = false;
    lock.unlock();
    entry.job(*database_);
  }
  lock.lock();
  running_.clear();
}

// The lock first: what comes or is withdrawn while this waits for it does so in the queue.
void SqliteWorker::RunGroup(std::unique_lock<std::mutex>& lock) {
  give_up_ = false;
  beginning_ = true;
  lock.unlock();
  const absl::Status begun = database_->Begin();
  lock.lock();
  beginning_ = false;
  // Given up for those that are gone; others may have come since.
  if (stop_ || absl::IsAborted(begun)) return;
  {
    std::vector<Entry> group;
    std::vector<SqliteDatabase::Transaction*> transactions;
    for (; TxnIsNext() && group.size() < kLargestGroup; queue_.pop_front()) {
      running_.insert(queue_.front().id);
      group.push_back(std::move(queue_.front()));
    }
    lock.unlock();
    for (Entry& entry : group) {
      if (!begun.ok()) entry.transaction.result.error = std::string(begun.message());
      transactions.push_back(&entry.transaction);
    }
    if (begun.ok() && !group.empty())
      database_->ApplyAll(transactions);
    else
      database_->Abandon();
    for (Entry& entry : group) entry.done(std::move(entry.transaction.result));
  }
  lock.lock();
  running_.clear();
}

void SqliteWorker::Run() {
  database_->WaitForLocks(&give_up_);
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    if (TxnIsNext())
      RunGroup(lock);
    else
      RunJob(lock);
  }
}

}  // namespace fastcontainer
