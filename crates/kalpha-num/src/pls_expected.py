"""Values of pls_expected.in: scikit-learn 1.9.1, numpy 2.4.6."""
import numpy as np
from sklearn.cross_decomposition import PLSRegression

i = np.arange(12 * 7)
x = (np.sin(i * i * 0.13) + 0.1 * (i % 7)).reshape(12, 7)
y = 2 * x[:, 0] - x[:, 3] + 0.1 * np.cos(np.arange(12) * 1.3)
print("[")
for k in (1, 3, 5):
    m = PLSRegression(n_components=k, scale=False).fit(x, y)
    b = m.coef_.ravel()
    a = float(m.predict(np.zeros((1, 7))).ravel()[0])
    print(f"    ({k}, {a!r}, {[float(v) for v in b]}),")
print("]")
