"""Peers of `kalpha pca`: one process per setting, told on stdin which method to run.

usage: peers.py COUNTS.npy            lines on stdin: a method; lines on stdout: wall and CPU seconds
       peers.py COUNTS.npy METHOD     once; prints the peak memory in MB
       peers.py --versions
"""
import importlib.metadata
import resource
import sys
import time

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import ssyrk

K = 10
BLOCK = 4096


def largest(gram):
    n = gram.shape[0]
    values, vectors = eigh(gram, subset_by_index=[n - K, n - 1], overwrite_a=True)
    return values[::-1], np.ascontiguousarray(vectors[:, ::-1])


def mirrored(upper):
    lower = np.tril(upper.T, -1)
    return np.triu(upper) + lower


def numpy_gram(x):
    n, d = x.shape
    gram = np.zeros((d, d), np.float64)
    for i in range(0, n, BLOCK):
        block = x[i : i + BLOCK].astype(np.float32)
        # block.T is Fortran-ordered: no copy.
        gram += ssyrk(1.0, block.T)
    values, vectors = largest(mirrored(gram))
    vectors = vectors.astype(np.float32)
    scores = np.empty((n, K), np.float32)
    for i in range(0, n, BLOCK):
        scores[i : i + BLOCK] = x[i : i + BLOCK].astype(np.float32) @ vectors
    return values, scores


def numpy_weighted(x):
    n, d = x.shape
    rows = x.sum(axis=1, dtype=np.int64).astype(np.float32)
    channels = x.sum(axis=0, dtype=np.int64).astype(np.float64)
    row_factors = np.where(rows > 0, 1 / np.sqrt(np.maximum(rows, 1)), 0).astype(np.float32)
    factors = np.where(channels > 0, 1 / np.sqrt(np.maximum(channels, 1)), 0)
    gram = np.zeros((d, d), np.float64)
    for i in range(0, n, BLOCK):
        block = x[i : i + BLOCK] * row_factors[i : i + BLOCK, None]
        gram += ssyrk(1.0, block.T)
    gram *= factors[:, None] * factors[None, :]
    values, vectors = largest(mirrored(gram))
    vectors = (vectors * factors[:, None]).astype(np.float32)
    scores = np.empty((n, K), np.float32)
    for i in range(0, n, BLOCK):
        scores[i : i + BLOCK] = x[i : i + BLOCK].astype(np.float32) @ vectors
    return values, scores


def sklearn_covariance(x):
    from sklearn.decomposition import PCA

    # float32: half the memory and time of float64, its best case.
    pca = PCA(n_components=K, svd_solver="covariance_eigh")
    scores = pca.fit_transform(x.astype(np.float32))
    return pca.explained_variance_, scores


def numpy_randomized(x):
    """Halko et al. 2011 in blocks: 2 power iterations, 10 more vectors than wanted."""
    n, d = x.shape
    rng = np.random.default_rng(0)
    q = rng.standard_normal((d, K + 10)).astype(np.float32)
    for step in range(4):
        z = np.zeros_like(q)
        for i in range(0, n, BLOCK):
            block = x[i : i + BLOCK].astype(np.float32)
            z += block.T @ (block @ q)
        if step < 3:
            q = np.linalg.qr(z)[0]
    small = q.T.astype(np.float64) @ z
    values, vectors = np.linalg.eigh((small + small.T) / 2)
    vectors = (q @ vectors[:, ::-1][:, :K].astype(np.float32)).astype(np.float32)
    scores = np.empty((n, K), np.float32)
    for i in range(0, n, BLOCK):
        scores[i : i + BLOCK] = x[i : i + BLOCK].astype(np.float32) @ vectors
    return values[::-1][:K], scores


def hyperspy_poisson(x):
    import hyperspy.api as hs

    hs.set_log_level("ERROR")
    hs.preferences.General.show_progressbar = False
    # Decomposition refuses integers; the conversion is part of what a user waits for.
    side = int(np.sqrt(x.shape[0]))
    signal = hs.signals.Signal1D(x.reshape(side, side, x.shape[1]).astype(np.float32))
    signal.decomposition(
        normalize_poissonian_noise=True, algorithm="SVD", output_dimension=K, print_info=False
    )
    return signal.learning_results.explained_variance, signal.learning_results.loadings


METHODS = {
    f.__name__: f
    for f in (numpy_gram, numpy_weighted, sklearn_covariance, numpy_randomized, hyperspy_poisson)
}


def main():
    if sys.argv[1] == "--versions":
        names = ("numpy", "scipy", "scikit-learn", "hyperspy")
        print(", ".join(f"{n} {importlib.metadata.version(n)}" for n in names))
        return
    x = np.load(sys.argv[1])
    if len(sys.argv) > 2:
        METHODS[sys.argv[2]](x)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    reply = sys.stdout
    sys.stdout = sys.stderr  # libraries may print
    print("ready", file=reply, flush=True)
    for line in sys.stdin:
        cpu, start = time.process_time(), time.perf_counter()
        values, _ = METHODS[line.strip()](x)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(wall, cpu, *values[:K], file=reply, flush=True)


main()
