import duckdb
import pandas as pd

orders = pd.DataFrame({
    'order_id': range(1, 101),
    'customer': [f'Customer_{i % 20}' for i in range(100)],
    'amount': [round(50 + i * 3.5, 2) for i in range(100)],
})
result = duckdb.sql("""
    SELECT customer, COUNT() as cnt, ROUND(SUM(amount), 2) as total
    FROM orders GROUP BY customer
    HAVING COUNT() >= 3 ORDER BY total DESC LIMIT 10
""").df()
print(result.to_string(index=False))
