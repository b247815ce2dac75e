import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np

fig, axes = plt.subplots(2, 2, figsize=(14, 10))
categories = ['Q1', 'Q2', 'Q3', 'Q4']
values = [120, 150, 180, 210]
axes[0, 0].bar(categories, values, color='#2196F3')
axes[0, 0].set_title('Quarterly Revenue')

x = np.linspace(0, 10, 50)
axes[0, 1].plot(x, np.sin(x), 'b-', linewidth=2)
axes[0, 1].set_title('Trend')

sizes = [35, 30, 20, 15]
axes[1, 0].pie(sizes, labels=['A', 'B', 'C', 'D'], autopct='%1.1f%%')
axes[1, 0].set_title('Market Share')

x = np.random.normal(50, 10, 200)
y = x * 1.5 + np.random.normal(0, 15, 200)
axes[1, 1].scatter(x, y, alpha=0.5, c='#FF5722')
axes[1, 1].set_title('Correlation')

plt.tight_layout()
plt.savefig('dashboard.png', dpi=300, bbox_inches='tight')
print('Dashboard saved')
