"""Learned from response times: Thompson sampling over the hosts.

Each host's response time is believed to lie about the moving average that this router has measured, the nearer the more often
that has been seen to move. One belief is drawn for each host, and the least takes the container: a host of which little is
known is tried now and then, one that is known to be slow or to fail is not.
"""
import numpy as np
from fastcontainer.policy import policy

PRIOR_MS = 10.0   # of a host that nobody has used: better than most, so that it is tried
FAILURE_MS = 2000.0  # what a failed request is worth
MOST_SEEN = 100.0  # beyond, nothing becomes surer: hosts change


@policy
class Learned:
    def __init__(self, seed=None):
        self.random = np.random.default_rng(seed)
        self.ids = np.empty(0, np.uint64)
        self.last = self.seen = np.empty(0)

    def place(self, request, hosts):
        cost = hosts.response_ms + FAILURE_MS * hosts.error_rate
        self._look(hosts.id_hash, cost)
        mean = np.where(cost > 0, cost, PRIOR_MS)
        belief = mean * (1 + self.random.standard_normal(len(hosts)) / np.sqrt(1 + self.seen))
        return np.where(hosts.fits(request), -belief, -np.inf)

    def _look(self, ids, cost):
        """Counts the changes of each host's average, which is as much as can be seen of its requests."""
        if not np.array_equal(ids, self.ids):
            known = dict(zip(self.ids.tolist(), zip(self.last, self.seen)))
            self.ids = ids.copy()
            self.last, self.seen = np.array([known.get(one, (0.0, 0.0)) for one in ids.tolist()]).reshape(-1, 2).T
        self.seen = np.minimum(self.seen + (cost != self.last), MOST_SEEN)
        self.last = cost
